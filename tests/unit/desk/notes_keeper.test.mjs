import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { NotesKeeper } from "../../../web/app/desk/notes_keeper.js";
import { ApiError } from "../../../web/client/api.js";
import { Storage } from "../../../web/client/storage.js";

const PLACE = "client c";
const away = () => new ApiError({ status: 0, code: "OFFLINE", message: "away" });

/** A service that keeps notes with a tag, as two windows see it. */
class Notes {
  text = "";
  version = 0;
  isAway = false;
  puts = [];

  #shown() {
    return { data: { text: this.text, updatedAt: this.version ? "2026-06-03T07:00:00.000Z" : null }, etag: `"${this.version}"` };
  }

  async getTagged() {
    if (this.isAway) throw away();
    return this.#shown();
  }

  async putTagged(_path, { body, headers }) {
    this.puts.push(body.text);
    await this.during?.();
    if (this.isAway) throw away();
    if (headers["If-Match"] !== `"${this.version}"`) throw new ApiError({ status: 412, code: "PRECONDITION_FAILED", message: "changed" });
    this.change(body.text);
    const shown = this.#shown();
    if (this.losesAnswer) throw away();
    return shown;
  }

  change(text) {
    this.text = text;
    this.version += 1;
  }
}

async function keeperOf(api, storage = new Storage("me")) {
  const keeper = new NotesKeeper({ api, storage, clientId: "c" });
  await keeper.load();
  return { keeper, storage, draft: async () => (await storage.list(PLACE)).get("notes") };
}

test("what is written is kept on the device at once, and saved after a pause", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const api = new Notes();
  const { keeper, draft } = await keeperOf(api);
  keeper.write("a");
  keeper.write("ab");
  assert.equal((await draft()).text, "ab");
  assert.deepEqual(api.puts, []);
  mock.timers.tick(1_000);
  mock.timers.reset();
  await keeper.save();
  assert.deepEqual(api.puts, ["ab"]);
  assert.equal(keeper.state.value, "saved");
  assert.equal(await draft(), undefined);
});

test("what is written while it is being saved is saved as well", async () => {
  const api = new Notes();
  const { keeper } = await keeperOf(api);
  api.during = () => {
    api.during = undefined;
    keeper.write("ab");
  };
  keeper.write("a");
  await keeper.save();
  assert.equal(keeper.state.value, "changed");
  await keeper.save();
  assert.equal(api.text, "ab");
  assert.equal(keeper.state.value, "saved");
});

test("without the service the text stays on the device, and another page goes on with it", async () => {
  const api = new Notes();
  const { keeper, storage, draft } = await keeperOf(api);
  api.isAway = true;
  keeper.write("a");
  await keeper.save();
  assert.equal(keeper.state.value, "waiting");
  assert.equal((await draft()).text, "a");
  api.isAway = false;
  const later = await keeperOf(api, storage);
  assert.equal(later.keeper.text.value, "a");
  await later.keeper.save();
  assert.equal(api.text, "a");
  await keeper.save();
});

test("what another window has changed is not overwritten, and both texts are there", async () => {
  const api = new Notes();
  const { keeper, storage } = await keeperOf(api);
  keeper.write("mine");
  api.change("theirs");
  await keeper.save();
  assert.equal(keeper.state.value, "conflict");
  assert.equal(keeper.theirs.value, "theirs");
  assert.equal(keeper.text.value, "mine");
  keeper.write("mine, longer");
  assert.equal(keeper.state.value, "conflict");
  assert.equal(api.text, "theirs");
  // Also after a crash.
  const later = await keeperOf(api, storage);
  assert.equal(later.keeper.state.value, "conflict");
  assert.equal(later.keeper.text.value, "mine, longer");
  assert.equal(later.keeper.theirs.value, "theirs");
  await later.keeper.settle("theirs\n\nmine, longer");
  assert.equal(api.text, "theirs\n\nmine, longer");
  assert.equal(later.keeper.state.value, "saved");
});

test("an answer that was lost on its way is no conflict", async () => {
  const api = new Notes();
  const { keeper, draft } = await keeperOf(api);
  api.losesAnswer = true;
  keeper.write("a");
  await keeper.save();
  assert.equal(keeper.state.value, "waiting");
  api.losesAnswer = false;
  await keeper.save();
  assert.equal(keeper.state.value, "saved");
  assert.equal(api.version, 1);
  assert.equal(await draft(), undefined);
});

test("a text that is refused stays, and can be tried again", async () => {
  const api = new Notes();
  const { keeper, draft } = await keeperOf(api);
  api.during = () => {
    throw new ApiError({ status: 400, code: "VALIDATION_FAILED", message: "too long" });
  };
  keeper.write("a");
  await keeper.save();
  assert.equal(keeper.state.value, "refused");
  assert.equal((await draft()).text, "a");
  api.during = undefined;
  await keeper.save();
  assert.equal(api.text, "a");
});
