import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const APP = new URL("../../../web/app/", import.meta.url);
const sheets = ["texts.js", "chat/texts.js", "desk/texts.js", "desk/hours_texts.js"].map((name) => readFileSync(new URL(name, APP), "utf8"));

/** The keys and texts of a language. */
function wordsOf(language) {
  const found = new Map();
  for (const sheet of sheets) {
    const part = language === "id" ? sheet.slice(sheet.indexOf("\n  id: {"), sheet.indexOf("\n  en: {")) : sheet.slice(sheet.indexOf("\n  en: {"));
    for (const [, key, words] of part.matchAll(/^ {4}"([\w.-]+)": "(.*)",$/gm)) found.set(key, words);
  }
  return found;
}

const placeholders = (words) => [...new Set(words.match(/{\w+}/g) ?? [])].sort().join();

test("both languages have the same texts, with the same values in them", () => {
  const [id, en] = [wordsOf("id"), wordsOf("en")];
  assert.ok(id.size > 300);
  assert.deepEqual([...id.keys()].sort(), [...en.keys()].sort());
  for (const [key, words] of id) assert.equal(placeholders(words), placeholders(en.get(key)), key);
});

test("every text that the desk names is there", () => {
  const known = wordsOf("en");
  for (const name of readdirSync(new URL("desk/", APP)).filter((one) => one.endsWith(".js"))) {
    const source = readFileSync(new URL(`desk/${name}`, APP), "utf8");
    for (const [, key] of source.matchAll(/\bt\("([\w.-]+)"/g)) assert.ok(known.has(key), `${name}: ${key}`);
    for (const [, whole] of source.matchAll(/\bt\(([^()`]*\?[^()`]*)/g)) {
      for (const [, key] of whole.matchAll(/[?:] "([\w.-]+\.[\w.-]+)"/g)) assert.ok(known.has(key), `${name}: ${key}`);
    }
  }
});
