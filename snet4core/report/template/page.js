"use strict";
// The map: a slice of the buildings is drawn each frame, behind; meanwhile the last drawing moves.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const canvas = byId("canvas"), pen = canvas.getContext("2d");

// --- shapes: numbers of seven bits a byte, see packed.py ---
function unpacked(text) {
  const bytes = atob(text);
  let place = 0;
  const number = () => {
    let byte = bytes.charCodeAt(place++), found = byte & 127;
    for (let shift = 7; byte > 127; shift += 7) {
      byte = bytes.charCodeAt(place++); found |= (byte & 127) << shift;
    }
    return found;
  };
  const sums = (many) => {
    const found = new Uint32Array(many + 1);
    for (let i = 0; i < many; i++) found[i + 1] = found[i] + number();
    return found;
  };
  const count = number(), rings = number(), points = number();
  const ringOf = sums(count), pointOf = sums(rings); // the first ring, the first point of each
  const xy = new Float32Array(2 * points), last = [0, 0];
  for (let i = 0; i < xy.length; i++) {
    const step = number();
    last[i & 1] += step & 1 ? -(step + 1) / 2 : step / 2;
    xy[i] = last[i & 1] / 10;
  }
  const boxes = new Float32Array(4 * count); // left, low, right, high
  for (let at = 0; at < count; at++) {
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 2 * pointOf[ringOf[at]]; i < 2 * pointOf[ringOf[at + 1]]; i += 2) {
      box[0] = Math.min(box[0], xy[i]); box[2] = Math.max(box[2], xy[i]);
      box[1] = Math.min(box[1], xy[i + 1]); box[3] = Math.max(box[3], xy[i + 1]);
    }
    boxes.set(box, 4 * at);
  }
  return { count, ringOf, pointOf, xy, boxes, order: Uint32Array.from({ length: count }, (_, at) => at) };
}
const value = (name, at) => {
  const field = data.fields[name];
  return field.known ? field.known[field.values[at]] : field.values[at];
};
const footprints = unpacked(data.outlines), count = footprints.count;
const sure = Uint8Array.from({ length: count }, (_, at) => Object.hasOwn(data.fields, "confidence")
  ? Math.round(100 * Math.min(1, Math.max(0, value("confidence", at)))) : 100);
const kindOf = data.kinds ? Uint8Array.from(data.kindOf) : sure; // of a score: { colour }
Object.assign(footprints, {
  filled: true,
  kind: (at) => kindOf[at],
  colour: (kind) => data.kinds ? data.kinds[kind].colour : `hsl(${Math.round(kind * 1.2)} 95% 58%)`,
  wanted: (at) => sure[at] >= least,
});
footprints.order.sort((one, other) => kindOf[one] - kindOf[other] || one - other);
const roofs = Object.assign(unpacked(data.roofs), {
  filled: false, kind: () => 0, colour: () => "#7dd3fc", wanted: () => byId("roofs").checked,
});

// --- drawing ---
const SMALL = 3, NEAR = .7; // on the screen: smaller buildings are boxes, nearer points are one
let scale = 1, left = 0, top_ = 0, picked = -1, least = 0;
let drawn = null, begun = null; // drawings, the last one and the next: { image, pen, scale, left, top_ }
let spare = document.createElement("canvas"), again = false, slice = 3000, rest = 0;
const picture = new Image();

function traced(to, shapes, at, view) {
  for (let ring = shapes.ringOf[at]; ring < shapes.ringOf[at + 1]; ring++) {
    let wasX = Infinity, wasY = Infinity;
    for (let i = shapes.pointOf[ring]; i < shapes.pointOf[ring + 1]; i++) {
      const x = shapes.xy[2 * i] * view.scale + view.left, y = shapes.xy[2 * i + 1] * view.scale + view.top_;
      if (Math.abs(x - wasX) + Math.abs(y - wasY) < NEAR) continue;
      if (wasX === Infinity) to.moveTo(x, y); else to.lineTo(x, y);
      wasX = x; wasY = y;
    }
    to.closePath();
  }
}
// Draws up to `many` of the shapes in view, those of one colour as one path; whether more follow.
function further(view, shapes, many) {
  const to = view.pen, small = SMALL * devicePixelRatio;
  let kind = -1, path = null, dots = null;
  const finish = () => {
    if (kind < 0) return;
    to.fillStyle = to.strokeStyle = shapes.colour(kind);
    if (shapes.filled) { to.globalAlpha = .25; to.fill(path, "evenodd"); }
    to.globalAlpha = .8; to.fill(dots);
    to.globalAlpha = 1; to.stroke(path);
  };
  for (; view.next < shapes.count && many > 0; view.next++) {
    const at = shapes.order[view.next], [x, y, right, high] = shapes.boxes.subarray(4 * at, 4 * at + 4);
    const toX = x * view.scale + view.left, toY = y * view.scale + view.top_;
    const wide = (right - x) * view.scale, tall = (high - y) * view.scale;
    if (!shapes.wanted(at) || toX > view.image.width || toY > view.image.height
      || toX + wide < 0 || toY + tall < 0) continue;
    if (shapes.kind(at) !== kind) {
      finish();
      kind = shapes.kind(at); path = new Path2D(); dots = new Path2D();
    }
    if (wide < small && tall < small) dots.rect(toX, toY, Math.max(1, wide), Math.max(1, tall));
    else traced(path, shapes, at, view);
    many--;
  }
  finish();
  return view.next < shapes.count;
}
function fit() {
  canvas.width = canvas.clientWidth * devicePixelRatio;
  canvas.height = canvas.clientHeight * devicePixelRatio;
  scale = Math.min(canvas.width / data.size[0], canvas.height / data.size[1]);
  left = (canvas.width - data.size[0] * scale) / 2;
  top_ = (canvas.height - data.size[1] * scale) / 2;
  begun = drawn = null;
  draw();
}
// Begins a drawing of what is in view; one that is under way ends first, or none would ever.
function draw() {
  again = begun !== null;
  if (again) return;
  const image = spare, to = image.getContext("2d");
  image.width = canvas.width; image.height = canvas.height;
  begun = { image, pen: to, scale, left, top_, parts: [footprints, roofs], next: 0 };
  if (data.picture && picture.complete) {
    to.drawImage(picture, left, top_, data.size[0] * scale, data.size[1] * scale);
  }
  to.lineWidth = 1.5 * devicePixelRatio;
  const first = drawn === null; // then it is shown while it grows
  let before = 0;
  const step = (now) => {
    if (begun === null || begun.image !== image) return;
    if (before) slice = Math.min(20000, Math.max(500, slice * (now - before > 30 ? .6 : 1.3)));
    before = now;
    if (!further(begun, begun.parts[0], slice)) { begun.parts.shift(); begun.next = 0; }
    if (first || !begun.parts.length) {
      if (drawn && drawn !== begun) spare = drawn.image;
      drawn = begun;
      show();
    }
    if (begun.parts.length) { requestAnimationFrame(step); return; }
    if (spare === image) spare = document.createElement("canvas");
    begun = null;
    if (again) draw();
  };
  requestAnimationFrame(step);
}
// The last drawing where the map is now, and the building that was picked.
function show() {
  const grown = scale / drawn.scale;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(drawn.image, left - drawn.left * grown, top_ - drawn.top_ * grown,
    canvas.width * grown, canvas.height * grown);
  if (picked < 0) return;
  pen.beginPath(); traced(pen, footprints, picked, { scale, left, top_ });
  pen.strokeStyle = "#fff"; pen.lineWidth = 4 * devicePixelRatio; pen.stroke();
}
let asked = false;
function move() {
  clearTimeout(rest); rest = setTimeout(draw, 90);
  if (asked || !drawn) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; if (drawn) show(); });
}
function zoom(by, x, y) {
  const wanted = Math.min(60, Math.max(0.02, scale * by)), grown = wanted / scale;
  left = x - (x - left) * grown; top_ = y - (y - top_) * grown; scale = wanted;
  move();
}

// --- picking ---
// Whether x, y is inside: an odd number of edges lies to its right.
function within(x, y, at) {
  let inside = false;
  const { xy, ringOf, pointOf } = footprints;
  for (let ring = ringOf[at]; ring < ringOf[at + 1]; ring++) {
    for (let i = pointOf[ring], j = pointOf[ring + 1] - 1; i < pointOf[ring + 1]; j = i++) {
      const [aX, aY, bX, bY] = [xy[2 * i], xy[2 * i + 1], xy[2 * j], xy[2 * j + 1]];
      if (aY > y !== bY > y && x < aX + (y - aY) * (bX - aX) / (bY - aY)) inside = !inside;
    }
  }
  return inside;
}
function pick(screenX, screenY) {
  const x = (screenX - left) / scale, y = (screenY - top_) / scale, boxes = footprints.boxes;
  picked = -1;
  for (let at = count - 1, box = 4 * at; at >= 0 && picked < 0; at--, box -= 4) {
    if (x >= boxes[box] && x <= boxes[box + 2] && y >= boxes[box + 1] && y <= boxes[box + 3]
      && sure[at] >= least && within(x, y, at)) picked = at;
  }
  const list = byId("picked");
  list.replaceChildren(); list.hidden = picked < 0;
  if (picked >= 0) for (const name of Object.keys(data.fields)) {
    const term = document.createElement("dt"), says = document.createElement("dd");
    const it = value(name, picked);
    term.textContent = name; says.textContent = it === null ? "unknown" : String(it);
    list.append(term, says);
  }
  if (drawn) show();
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
  for (const each of sure) if (each >= least) shown++;
  byId("shown").textContent = `${shown} shown`;
}
byId("slider").addEventListener("input", () => { choose(); draw(); });
byId("roofs").addEventListener("change", draw);
byId("roofs-label").hidden = !roofs.count;
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
