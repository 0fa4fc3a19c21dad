// Loads the app's own scripts as they are: a page's module with what it imports, joined into one script as the app does
// (ui/scripts.py), with names that it does not export besides; a plain script in a context of its own. No file of the
// app is changed for its tests.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const ROOT = new URL("../../streamlit_apps/", import.meta.url);

const read = (path) => readFileSync(new URL(path, ROOT), "utf8");

const IMPORT = /^import \{[^}]*\} from "(\.{1,2}\/[\w./]+)";\n/gm;
const EXPORT = /^export (?=(?:const|class|function) )/gm;

const joined = (path, made = new Map()) => {
  const text = read(path), folder = path.slice(0, path.lastIndexOf("/") + 1);
  for (const [, name] of text.matchAll(IMPORT)) {
    const imported = new URL(name, `file:///${folder}`).pathname.slice(1);
    if (!made.has(imported)) joined(imported, made);
  }
  made.set(path, text.replace(IMPORT, "").replace(EXPORT, ""));
  return [...made.values()].join("");
};

export const load = (path, ...names) => {
  const text = `${joined(path)}\nexport { ${names.join(", ")} };\n`;
  return import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);
};

export const run = (path, context) => {
  vm.runInContext(read(path), vm.createContext(context), { filename: path });
  return context;
};
