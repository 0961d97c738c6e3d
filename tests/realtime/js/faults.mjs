// What goes wrong on purpose, as the SDK takes it.

import { ask, code, queue, realtime, rest, several, subscribed } from './shared.mjs';

export async function failedPublish() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  const overRest = rest().channels.get('c');
  const seen = {
    rest: await code(overRest.publish('n', 'rest')),
    realtime: await code(channel.publish('n', 'realtime')),
    refused: await code(overRest.publish('n', 'refused')),
  };
  // With another host to turn to, which is the same one here, the SDK tries again by itself.
  await rest({ fallbackHosts: ['127.0.0.1'] }).channels.get('c').publish('n', 'again');
  await channel.publish('n', 'last');
  return { ...seen, heard: (await several(next, 2)).map((message) => message.data), state: client.connection.state };
}

export async function unansweredRequest() {
  const [, next] = await subscribed(realtime(), 'c');
  const impatient = rest({ fallbackHosts: ['127.0.0.1'], httpRequestTimeout: 300 });
  const channel = impatient.channels.get('c');
  await channel.publish('n', 'hung');
  await ask('cut');
  await channel.publish('n', 'cut');
  return {
    heard: (await several(next, 2)).map((message) => message.data),
    kept: (await channel.history()).items.length,
  };
}

export async function withoutAck() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  let acknowledged = false;
  const published = channel.publish('n', 'once').then(() => (acknowledged = true));
  const first = (await next()).data;
  const before = acknowledged;
  await ask('drop');
  await published;
  await channel.publish('n', 'last');
  return { heard: [first, (await next()).data], before, kept: (await channel.history()).items.length };
}

export async function deliveries() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  const present = [];
  await channel.presence.subscribe((event) => present.push(event.action));
  for (const data of ['twice', 'lost', 'late', 'last']) await channel.publish('n', data);
  const heard = (await several(next, 4)).map((message) => message.data);
  await channel.presence.enter();
  await ask('duplicate');
  await channel.presence.update('x');
  await channel.publish('n', 'end');
  return { heard, end: (await next()).data, present };
}

export async function refusedAttach() {
  const client = realtime({ channelRetryTimeout: 50 });
  const channel = client.channels.get('c');
  const [put, changes] = queue();
  channel.on((change) => put(change.current));
  const refused = await code(channel.attach());
  await channel.attach();
  return { refused, changes: await several(changes, 4), state: client.connection.state };
}

// A service that is broken says DISCONNECTED, with a 5xx: the SDK comes back, where an ERROR would end it for good.
export async function failedConnect() {
  const client = realtime();
  const [put, changes] = queue();
  client.connection.on((change) => put([change.current, change.reason?.code ?? null]));
  const seen = [];
  while (!['connected', 'failed'].includes(seen.at(-1)?.[0])) seen.push(await changes());
  return { seen };
}
