"use strict";
// The map: polygons are drawn once they are at rest; while they move, the last drawing moves.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const canvas = byId("canvas"), pen = canvas.getContext("2d");
const count = data.rings.length;
const value = (name, at) => {
  const field = data.fields[name];
  return field.known ? field.known[field.values[at]] : field.values[at];
};
const confidence = Float32Array.from({ length: count }, (_, at) =>
  Object.hasOwn(data.fields, "confidence") ? Math.min(1, Math.max(0, value("confidence", at))) : 1);

// --- shapes, one path for each hundredth of confidence and kind of building ---
const kinds = data.kinds || [null]; // of a score: { colour }; null is coloured by confidence
const boxes = new Float32Array(4 * count);
function traced(path, rings, box, at) {
  let left = Infinity, low = Infinity, right = -Infinity, high = -Infinity;
  for (const ring of rings) {
    let x = 0, y = 0;
    for (let i = 0; i < ring.length; i += 2) {
      x += ring[i] / 10; y += ring[i + 1] / 10;
      if (i === 0) path.moveTo(x, y); else path.lineTo(x, y);
      left = Math.min(left, x); right = Math.max(right, x);
      low = Math.min(low, y); high = Math.max(high, y);
    }
    path.closePath();
  }
  if (box) box.set([left, low, right, high], 4 * at);
}
const bins = Array.from({ length: 101 * kinds.length }, () => null);
data.rings.forEach((rings, at) => {
  const bin = Math.round(confidence[at] * 100) + 101 * (data.kinds ? data.kindOf[at] : 0);
  bins[bin] = bins[bin] || new Path2D();
  traced(bins[bin], rings, boxes, at);
});
const roofs = new Path2D();
data.roofs.forEach((rings) => traced(roofs, rings));

// --- drawing ---
let scale = 1, left = 0, top_ = 0, picked = -1, least = 0;
let drawn = null; // the last drawing: { image, scale, left, top_ }
const picture = new Image();
function fit() {
  canvas.width = canvas.clientWidth * devicePixelRatio;
  canvas.height = canvas.clientHeight * devicePixelRatio;
  scale = Math.min(canvas.width / data.size[0], canvas.height / data.size[1]);
  left = (canvas.width - data.size[0] * scale) / 2;
  top_ = (canvas.height - data.size[1] * scale) / 2;
  draw();
}
function draw() {
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.setTransform(scale, 0, 0, scale, left, top_);
  if (data.picture && picture.complete) pen.drawImage(picture, 0, 0, data.size[0], data.size[1]);
  pen.lineWidth = 1.5 * devicePixelRatio / scale;
  bins.forEach((path, bin) => {
    const sure = bin % 101, kind = kinds[Math.floor(bin / 101)];
    if (!path || sure < least) return;
    const colour = kind ? kind.colour : `hsl(${Math.round(sure * 1.2)} 95% 58%)`;
    pen.globalAlpha = .25; pen.fillStyle = colour; pen.fill(path, "evenodd");
    pen.globalAlpha = 1; pen.strokeStyle = colour; pen.stroke(path);
  });
  if (data.roofs.length && byId("roofs").checked) { pen.strokeStyle = "#7dd3fc"; pen.stroke(roofs); }
  if (picked >= 0) {
    const one = new Path2D(); traced(one, data.rings[picked]);
    pen.strokeStyle = "#fff"; pen.lineWidth *= 2.5; pen.stroke(one);
  }
  const image = document.createElement("canvas");
  image.width = canvas.width; image.height = canvas.height;
  image.getContext("2d").drawImage(canvas, 0, 0);
  drawn = { image, scale, left, top_ };
}
let asked = false, rest = 0;
function move() {
  clearTimeout(rest); rest = setTimeout(draw, 140);
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    const grown = scale / drawn.scale;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(drawn.image, left - drawn.left * grown, top_ - drawn.top_ * grown,
      canvas.width * grown, canvas.height * grown);
  });
}
function zoom(by, x, y) {
  const wanted = Math.min(60, Math.max(0.02, scale * by)), grown = wanted / scale;
  left = x - (x - left) * grown; top_ = y - (y - top_) * grown; scale = wanted;
  move();
}

// --- picking ---
function pick(x, y) {
  const px = (x - left) / scale, py = (y - top_) / scale;
  picked = -1;
  for (let at = count - 1; at >= 0 && picked < 0; at--) {
    const box = 4 * at;
    if (px < boxes[box] || px > boxes[box + 2] || py < boxes[box + 1] || py > boxes[box + 3]) continue;
    if (Math.round(confidence[at] * 100) < least) continue;
    const one = new Path2D(); traced(one, data.rings[at]);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    if (pen.isPointInPath(one, px, py, "evenodd")) picked = at;
  }
  const list = byId("picked");
  list.replaceChildren(); list.hidden = picked < 0;
  if (picked >= 0) for (const name of Object.keys(data.fields)) {
    const term = document.createElement("dt"), says = document.createElement("dd");
    const it = value(name, picked);
    term.textContent = name; says.textContent = it === null ? "unknown" : String(it);
    list.append(term, says);
  }
  draw();
}

// --- hands ---
const fingers = new Map();
let moved = 0;
const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * devicePixelRatio, (event.clientY - box.top) * devicePixelRatio];
};
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId); fingers.set(event.pointerId, at(event));
  if (fingers.size === 1) moved = 0;
});
canvas.addEventListener("pointermove", (event) => {
  const was = fingers.get(event.pointerId);
  if (!was) return;
  const now = at(event), other = [...fingers].find(([id]) => id !== event.pointerId);
  moved += Math.hypot(now[0] - was[0], now[1] - was[1]);
  if (other) {
    const [x, y] = other[1];
    zoom(Math.hypot(now[0] - x, now[1] - y) / Math.max(1, Math.hypot(was[0] - x, was[1] - y)), x, y);
  } else { left += now[0] - was[0]; top_ += now[1] - was[1]; move(); }
  fingers.set(event.pointerId, now);
});
canvas.addEventListener("pointerup", (event) => {
  if (fingers.size === 1 && moved < 6 * devicePixelRatio) pick(...at(event));
  fingers.delete(event.pointerId);
});
canvas.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
canvas.addEventListener("wheel", (event) => {
  event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), ...at(event));
}, { passive: false });
canvas.addEventListener("keydown", (event) => {
  const step = 60 * devicePixelRatio, middle = [canvas.width / 2, canvas.height / 2];
  if (event.key === "+") zoom(1.4, ...middle);
  else if (event.key === "-") zoom(1 / 1.4, ...middle);
  else if (event.key === "ArrowLeft") { left += step; move(); }
  else if (event.key === "ArrowRight") { left -= step; move(); }
  else if (event.key === "ArrowUp") { top_ += step; move(); }
  else if (event.key === "ArrowDown") { top_ -= step; move(); }
  else return;
  event.preventDefault();
});
function choose() {
  least = Math.round(byId("slider").value * 100);
  byId("least").textContent = (least / 100).toFixed(2);
  let shown = 0;
  for (const each of confidence) if (Math.round(each * 100) >= least) shown++;
  byId("shown").textContent = `${shown} shown`;
}
byId("slider").addEventListener("input", () => { choose(); clearTimeout(rest); rest = setTimeout(draw, 20); });
byId("roofs").addEventListener("change", draw);
byId("roofs-label").hidden = !data.roofs.length;
byId("all").addEventListener("click", fit);
addEventListener("resize", fit);
if (data.azimuth !== null) {
  byId("look").removeAttribute("hidden"); // an SVG has no such property
  byId("arrow").setAttribute("transform", `rotate(${data.azimuth})`);
}
picture.onload = draw;
if (data.picture) picture.src = data.picture;
choose();
fit();
