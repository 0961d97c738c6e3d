// What an app does: pages through lists, books a free time, reads what was last said. Types come from schema.d.ts.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

type Session = components["schemas"]["ListedSession"];

declare const process: { argv: string[] };
const [base = "", token = "", from = "", to = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: base, headers: { Authorization: `Bearer ${token}` } });

function must<T>(answer: { data?: { data: T }; error?: components["schemas"]["Error"] }): T {
  if (answer.data === undefined) throw new Error(`${answer.error?.code}: ${JSON.stringify(answer.error?.errors)}`);
  return answer.data.data;
}

// Every list that can grow is read in the same way.
async function all<T>(page: (cursor: string | undefined) => Promise<{ data: T[]; nextCursor: string | null }>) {
  const found: T[] = [];
  let cursor: string | undefined;
  do {
    const { data, nextCursor } = await page(cursor);
    found.push(...data);
    cursor = nextCursor ?? undefined;
  } while (cursor !== undefined);
  return found;
}
const at = (cursor: string | undefined) => (cursor === undefined ? { limit: 2 } : { limit: 2, cursor });

const psychologists = await all(async (cursor) =>
  must(await client.GET("/api/v1/psychologists", { params: { query: at(cursor) } })));
const slots = must(await client.GET("/api/v1/slots", { params: { query: { from, to, duration: 60 } } }));
const slot = slots[0];
if (slot === undefined) throw new Error("no time is free");

// Only `method` is needed beside the times: everything else may be left out.
const booking: components["schemas"]["BookRequest"] = { method: "chat", startsAt: slot.startsAt, endsAt: slot.endsAt };
const booked = must(await client.POST("/api/v1/counselings/book", { body: booking }));
// @ts-expect-error: a booking says how they meet
const incomplete: components["schemas"]["BookRequest"] = { startsAt: slot.startsAt, endsAt: slot.endsAt };
const message: components["schemas"]["MessageRequest"] = { sessionId: booked.chatSession?.sessionId ?? "", message: "Halo" };
// @ts-expect-error: only texts are sent like this
const wrong: components["schemas"]["MessageRequest"] = { ...message, messageType: "image" };
const hours: components["schemas"]["DayException"] = { date: from, isAvailable: false };

const sessions: Session[] = await all(async (cursor) =>
  must(await client.GET("/api/v1/chat/sessions", { params: { query: { ...at(cursor), order: "activity" } } })));
// @ts-expect-error: there may be no message yet
export const preview = (one: Session): string => one.lastMessage.preview;
const told = await all(async (cursor) =>
  must(await client.GET("/api/v1/notifications", { params: { query: at(cursor) } })));
const refused = await client.POST("/api/v1/chat/messages", { body: message });

console.log(JSON.stringify({
  psychologists: psychologists.map((one) => one.fullName),
  booked: booked.scheduledAt,
  with: slot.psychologists.map((one) => one.fullName),
  sessions: sessions.map((one) => one.lastMessage?.preview ?? null),
  told: told.map((one) => one.type),
  refused: refused.error?.code,
}));
