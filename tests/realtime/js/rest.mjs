// Resources over REST: time, history, presence, status, batches.

import Ably from 'ably';
import { code, only, pages, plain, realtime, rest, subscribed, tick } from './shared.mjs';

export async function time() {
  const before = Date.now();
  const told = await new Ably.Rest(only({ key: 'nobody.knows:this' })).time();
  return { between: before <= told && told <= Date.now(), stats: (await rest().stats()).items };
}

export async function history() {
  const channel = rest().channels.get('paged');
  for (let number = 0; number < 5; number++) await channel.publish('n', { number });
  const number = (message) => message.data.number;
  const first = await channel.history({ limit: 2 });
  const second = await first.next();
  return {
    backwards: await pages(first, number),
    forwards: await pages(channel.history({ limit: 3, direction: 'forwards' }), number),
    back: (await second.first()).items.map(number),
    again: (await second.current()).items.map(number),
    ends: [first.hasNext(), first.isLast(), (await second.next()).isLast()],
    whole: (await channel.history()).items.length,
  };
}

export async function historyBounds() {
  const channel = rest().channels.get('timed');
  for (const name of ['a', 'b', 'c']) {
    await channel.publish(name, '');
    await tick();
  }
  const kept = async (bounds) => (await channel.history(bounds)).items.map((message) => message.name).join('');
  const { timestamp } = (await channel.history()).items[1];
  return {
    from: await kept({ start: timestamp }),
    until: await kept({ end: timestamp }),
    both: await kept({ start: timestamp, end: timestamp }),
    onward: await kept({ start: timestamp, direction: 'forwards' }),
    pages: await pages(channel.history({ end: timestamp, limit: 1 }), (message) => message.name),
    none: await kept({ end: timestamp - 60_000 }),
  };
}

export async function historyUntilAttach() {
  const publisher = rest().channels.get('c');
  await publisher.publish('before', '');
  const client = realtime();
  const unattached = await code(client.channels.get('c').history({ untilAttach: true }));
  const [channel, next] = await subscribed(client, 'c');
  await publisher.publish('after', '');
  await next();
  const names = async (params) => (await channel.history(params)).items.map((message) => message.name);
  return { unattached, until: await names({ untilAttach: true }), all: await names() };
}

export async function presenceOverRest() {
  const client = realtime();
  const entered = client.channels.get('room').presence;
  for (const id of ['a', 'b', 'c', 'd', 'e']) await entered.enterClient(id, { id });
  await entered.updateClient('a', Buffer.from([7]));
  await entered.leaveClient('e', 'bye');
  const { presence } = rest().channels.get('room');
  const id = (member) => member.clientId;
  const members = (await presence.get()).items;
  const { connection } = client;
  return {
    pages: (await pages(presence.get({ limit: 2 }), id)).map((page) => page.sort()),
    one: (await presence.get({ clientId: 'b' })).items.map((member) => [id(member), member.action, member.data]),
    ofConnection: (await presence.get({ connectionId: connection.id })).items.length,
    ofOther: (await presence.get({ connectionId: 'other' })).items.length,
    bytes: [...members.find((member) => id(member) === 'a').data],
    owner: members.every((member) => member.connectionId === connection.id),
    history: await pages(presence.history({ limit: 4 }), (event) => `${event.action} ${id(event)}`),
    oldest: (await presence.history({ direction: 'forwards', limit: 1 })).items.map((event) => event.data),
    realtime: (await entered.history({ limit: 1 })).items.map((event) => [event.action, event.data]),
  };
}

export async function status() {
  const client = realtime();
  await subscribed(client, 'room');
  await client.channels.get('room').presence.enterClient('ann');
  await subscribed(realtime(), 'room', { modes: ['SUBSCRIBE'] });
  const details = await rest().channels.get('room').status();
  const { connections, publishers, subscribers, presenceMembers } = details.status.occupancy.metrics;
  return {
    id: details.channelId,
    active: details.status.isActive,
    metrics: { connections, publishers, subscribers, presenceMembers },
    denied: await code(rest().channels.get('denied').status()),
  };
}

export async function batches() {
  const client = rest();
  const result = ({ channel, error, messageId }) => [channel, error ? error.code : typeof messageId];
  const counted = ({ successCount, failureCount, results }) => [successCount, failureCount, results.map(result)];
  // The SDK sends batches as they are: encoding is left to whoever calls it.
  const messages = [{ name: 'n', data: { x: 1 } }, { data: 'AQ==', encoding: 'base64' }];
  const one = { channels: ['open', 'denied'], messages };
  await realtime().channels.get('room').presence.enterClient('ann', 'here');
  const present = await client.batchPresence(['room', 'denied', 'empty']);
  return {
    single: counted(await client.batchPublish(one)),
    list: (await client.batchPublish([{ channels: ['c'], messages: { name: 'last' } }, one])).map(counted),
    kept: (await client.channels.get('open').history()).items.map((message) => plain(message.data)),
    presence: [
      present.successCount,
      present.failureCount,
      present.results.map(({ channel, presence, error }) => [
        channel,
        error ? error.code : presence.map((member) => [member.clientId, member.data, member.action]),
      ]),
    ],
  };
}
