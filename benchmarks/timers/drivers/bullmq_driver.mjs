// BullMQ on Node: Queue.addBulk with a delay, one Worker. The protocol is that of protocol.py.
// Arguments: the folder with node_modules, the role, options as JSON.
import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import readline from "node:readline";

const [home, role, text] = process.argv.slice(2);
const options = JSON.parse(text);
const { Queue, Worker } = createRequire(home)("bullmq");

const KINDS = ["initial_message", "enable_chat", "end_warning", "auto_end"];
const NAME = "automations";
const connection = { host: "127.0.0.1", port: options.port, db: options.db, maxRetriesPerRequest: null };
const say = (answer) => fs.writeSync(1, JSON.stringify(answer) + "\n");

// The wall clock in nanoseconds. Node shows it in milliseconds only, so the steady clock is set by its ticks: what
// was read before and after a tick bounds the difference of the two clocks, and many ticks make the bounds close.
function wallClock() {
  let low = null;
  let high = null;
  for (let ticks = 0; ticks < 30; ticks += 1) {
    let before;
    let next = process.hrtime.bigint();
    const last = Date.now();
    do {
      before = next;
      next = process.hrtime.bigint();
    } while (Date.now() === last);
    const after = process.hrtime.bigint();
    const tick = BigInt(last + 1) * 1_000_000n;
    if (low === null || tick - after > low) low = tick - after;
    if (high === null || tick - before < high) high = tick - before;
  }
  return () => process.hrtime.bigint() + (low + high) / 2n;
}

function makeJobs(spec) {
  return Array.from({ length: spec.count }, (_, index) => {
    const digest = createHash("md5").update(`${spec.seed}:${Math.floor(index / 4)}`).digest("hex");
    const session = [[0, 8], [8, 12], [12, 16], [16, 20], [20, 32]].map(([a, b]) => digest.slice(a, b)).join("-");
    const dueMs = spec.due_ms + (spec.rate ? Math.floor((index * 1000) / spec.rate) : 0);
    return { session, kind: KINDS[index % 4], version: 1, dueMs };
  });
}

function prepare(jobs, exact) {
  const now = Date.now();
  // With `exact` the delay counts from a given instant, not from the one at which the library makes the job.
  return jobs.map(({ session, kind, version, dueMs }) => ({
    name: kind,
    data: { session, version },
    opts: { delay: dueMs - now, ...(exact ? { timestamp: now } : {}) },
  }));
}

async function serveClient() {
  const queue = new Queue(NAME, { connection });
  await queue.waitUntilReady();
  const scheduled = [];
  const obey = async (command) => {
    if (command.do === "schedule") {
      const jobs = makeJobs(command.jobs);
      const batches = [];
      for (let at = 0; at < jobs.length; at += command.batch) {
        batches.push(prepare(jobs.slice(at, at + command.batch), command.exact));
      }
      let done = 0;
      const begin = performance.now();
      for (const batch of batches) {
        scheduled.push(...(await queue.addBulk(batch)).map((job) => job.id));
        done += batch.length;
        if (performance.now() - begin > command.give_up * 1000) break;
      }
      return { scheduled: done, seconds: (performance.now() - begin) / 1000 };
    }
    if (command.do === "cancel") {
      const ids = scheduled.slice(0, command.count);
      let cancelled = 0;
      const begin = performance.now();
      // No bulk call by id; single ones made in one go leave in one pipeline.
      for (let at = 0; at < ids.length; at += 1000) {
        const answers = await Promise.all(ids.slice(at, at + 1000).map((id) => queue.remove(id)));
        cancelled += answers.reduce((sum, one) => sum + one, 0);
      }
      return { cancelled, seconds: (performance.now() - begin) / 1000 };
    }
    if (command.do === "pending") return { pending: await queue.getDelayedCount() };
    throw new Error(command.do);
  };
  say({ ready: true });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      say(await obey(JSON.parse(line)));
    } catch (error) {
      say({ error: String(error).slice(0, 300) });
    }
  }
  await queue.close();
}

async function work() {
  const now = wallClock();
  const ran = [];
  const handle = async (job) => {
    if (options.marker) {
      fs.writeFileSync(options.marker, String(now()));
      await new Promise(() => {});
    }
    ran.push([job.data.session, job.name, now()]);
    if (ran.length === options.expect) say({ done: true });
  };
  const worker = new Worker(NAME, handle, {
    connection,
    concurrency: options.concurrency,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 1000 },
  });
  await worker.waitUntilReady();
  say({ ready: true });
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    // JSON has no 64-bit integers: the instants go as text, in which Python finds integers.
    const rows = ran.map(([session, kind, ns]) => `["${session}","${kind}",${ns}]`);
    fs.writeSync(1, `{"ran":[${rows.join(",")}]}\n`);
  }
  process.exit(0);
}

await (role === "client" ? serveClient() : work());
