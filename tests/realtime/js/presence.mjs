// Who is present: entering, leaving, and learning of it.

import Ably from 'ably';
import { code, cut, given, handingOut, only, plain, queue, realtime, several, subscribed, vanish } from './shared.mjs';

const described = (event) => [event.action, event.clientId, plain(event.data)];

/** A channel that watches presence, and a function that waits for the next event there. */
async function watched(client, name) {
  const channel = client.channels.get(name);
  const [put, next] = queue();
  await channel.presence.subscribe(put);
  return [channel, next];
}

export async function presence() {
  const [ann, watcher] = [realtime(), realtime()];
  const [room, next] = await watched(watcher, 'room');
  const { presence } = ann.channels.get('room');
  await presence.enter({ typing: false });
  await presence.update(Buffer.from([1, 2]));
  await presence.leave('bye');
  await presence.enter('again');
  const events = await several(next, 4);
  const present = [await presence.get(), await room.presence.get()].map((members) => members.map(described));
  const owner = events.every((event) => event.connectionId === ann.connection.id);
  ann.close();
  return {
    events: events.map(described),
    present,
    owner,
    closed: described(await next()),
    afterwards: (await room.presence.get()).length,
  };
}

export async function presenceForOthers() {
  const [client, watcher] = [realtime(), realtime()];
  const [room, next] = await watched(watcher, 'room');
  const { presence } = client.channels.get('room');
  await presence.enterClient('ann', 'first');
  await presence.enterClient('bob');
  await presence.updateClient('ann', { n: 2 });
  await presence.leaveClient('bob', 'gone');
  const events = (await several(next, 4)).map(described);
  const one = (await room.presence.get({ clientId: 'ann' })).map(described);
  return { events, one, own: await code(presence.enter()) };
}

export async function presenceRefused() {
  const clients = given.map((token) => new Ably.Realtime(only({ authCallback: handingOut([token]) })));
  const [anonymous, ann, listening] = clients;
  const room = (client) => client.channels.get('room').presence;
  await room(ann).enter();
  return {
    anonymous: [await code(room(anonymous).enter()), await code(room(anonymous).enterClient('bob'))],
    foreign: await code(room(ann).enterClient('bob')),
    capability: await code(room(listening).enter()),
    present: (await room(listening).get()).map((member) => member.clientId),
    states: clients.map((client) => client.connection.state),
  };
}

export async function presenceSync() {
  const [client, late] = [realtime(), realtime()];
  const ids = ['a', 'b', 'c', 'd', 'e'];
  for (const id of ids) await client.channels.get('room').presence.enterClient(id, id);
  const [room, next] = await watched(late, 'room');
  const told = await several(next, ids.length);
  return {
    present: (await room.presence.get()).map((member) => member.data).sort(),
    told: told.map((event) => `${event.action} ${event.clientId}`).sort(),
    complete: room.presence.syncComplete,
    nobody: (await late.channels.get('empty').presence.get()).length,
  };
}

export async function presenceAfterDrop() {
  const [ann, watcher] = [realtime({ clientId: 'ann' }), realtime({ clientId: 'watcher' })];
  const [room, next] = await watched(watcher, 'room');
  await ann.channels.get('room').presence.enter('here');
  const entered = described(await next());
  await vanish(ann);
  return { entered, left: described(await next()), afterwards: (await room.presence.get()).length };
}

export async function presenceResumed() {
  const [ann, watcher] = [realtime({ clientId: 'ann' }), realtime({ clientId: 'watcher' })];
  const [, next] = await watched(watcher, 'room');
  const [channel, heard] = await subscribed(ann, 'room');
  await channel.presence.enter('here');
  await cut(ann);
  await watcher.channels.get('room').publish('meanwhile', '');
  await heard();
  // Were there a leave, or a second enter, it would come before this.
  await channel.presence.update('still here');
  return { events: (await several(next, 2)).map(described) };
}

export async function presenceLimit() {
  const client = realtime();
  const { presence } = client.channels.get('room');
  await presence.enterClient('a');
  await presence.enterClient('b');
  const third = await code(presence.enterClient('c'));
  const update = await code(presence.updateClient('a', 'x'));
  await presence.leaveClient('b');
  return { third: third[0], update, replaced: await code(presence.enterClient('c')), state: client.connection.state };
}
