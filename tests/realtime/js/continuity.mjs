// Connections that are lost and come back: what is kept, and what is told when it is not.

import { ask, cut, nextState, queue, realtime, refusal, rest, several, subscribed, vanish } from './shared.mjs';

/** Note whether a channel that attaches again says that nothing was missed, and that something is to come. */
function resumptions(channel) {
  const [put, next] = queue();
  channel.on('attached', ({ resumed, hasBacklog }) => put([resumed, hasBacklog]));
  return next;
}

export async function resume() {
  const [client, other] = [realtime(), realtime()];
  const [channel, next] = await subscribed(client, 'c');
  const theirs = other.channels.get('c');
  await theirs.publish('n', 'before');
  await next();
  const { id } = client.connection;
  const resumed = resumptions(channel);
  await ask('keep out');
  await cut(client);
  for (const data of ['first', 'second']) await theirs.publish('n', data);
  const queued = ['third', 'fourth'].map((data) => channel.publish('n', data));
  await ask('let in');
  const heard = await several(next, 4);
  await Promise.all(queued);
  return {
    heard: heard.map((message) => message.data),
    kept: (await channel.history({ direction: 'forwards' })).items.map((message) => message.data),
    same: id === client.connection.id,
    resumed: await resumed(),
    untilAttach: (await channel.history({ untilAttach: true })).items.length,
  };
}

export async function resumeWithoutBacklog() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  await channel.publish('n', 'before');
  await next();
  const resumed = resumptions(channel);
  await cut(client);
  return await resumed();
}

/** Attach where something is replayed, and ask for what came before it. */
export async function historyBeforeReplay() {
  const publisher = rest().channels.get('c');
  await publisher.publish([{ data: '0' }, { data: '1' }, { data: '2' }]);
  await publisher.publish('n', '3');
  const found = [];
  for (const params of [{ rewind: '1' }, { rewind: '2' }, { rewind: '3' }, { rewind: '1m' }, {}]) {
    const client = realtime();
    const channel = client.channels.get('c', { params });
    const [put, next] = queue();
    await channel.subscribe(put);
    const before = (await channel.history({ untilAttach: true, direction: 'forwards' })).items;
    const replayed = await several(next, 4 - before.length);
    found.push([before, replayed].map((messages) => messages.map(({ data }) => data).join('')));
  }
  return found;
}

export async function recover() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  await channel.publish('n', 'before');
  await next();
  const recoveryKey = client.connection.createRecoveryKey();
  const { id } = client.connection;
  await vanish(client);
  await rest().channels.get('c').publish('n', 'meanwhile');
  const heir = realtime({ recover: recoveryKey });
  const [inherited, heirs] = await subscribed(heir, 'c');
  const first = (await heirs()).data;
  await inherited.publish('n', 'after');
  const unknown = realtime({ recover: recoveryKey.replace(/"connectionKey":"..../, '"connectionKey":"wrong') });
  const { reason } = await nextState(unknown.connection, 'connected');
  return {
    same: id === heir.connection.id,
    heard: [first, (await heirs()).data],
    unknown: [unknown.connection.id === id, refusal(reason)[0], unknown.connection.state],
  };
}

/** Lose a client's connection until the endpoint has forgotten it; `meanwhile` happens before it may come back. */
async function expired(client, channel, meanwhile) {
  const { id } = client.connection;
  await ask('keep out');
  const suspended = nextState(client.connection, 'suspended');
  await cut(client);
  await suspended;
  const suspendedChannel = channel.state;
  await ask('forgotten');
  await meanwhile();
  const back = nextState(client.connection, 'connected');
  const attached = nextState(channel, 'attached');
  await ask('let in');
  const { reason } = await back;
  return { same: id === client.connection.id, code: reason.code, suspendedChannel, attached: await attached };
}

export async function expiredConnection() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  const { attached, ...found } = await expired(client, channel, async () => {});
  await channel.publish('n', 'after');
  return { ...found, resumed: attached.resumed, heard: (await next()).data };
}

export async function lostContinuity() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  const overRest = rest().channels.get('c');
  const { attached, same } = await expired(client, channel, async () => {
    await overRest.publish('n', 'missed');
    while ((await overRest.history()).items.length);
  });
  await channel.publish('n', 'after');
  return { same, resumed: attached.resumed, reason: refusal(attached.reason), heard: (await next()).data };
}

export async function dropped() {
  const clients = [realtime(), realtime()];
  const [[channel], [, next]] = await Promise.all(clients.map((client) => subscribed(client, 'c')));
  const ids = clients.map((client) => client.connection.id);
  const away = clients.map((client) => nextState(client.connection, 'disconnected'));
  await ask('drop');
  const reasons = (await Promise.all(away)).map(({ reason }) => reason?.code ?? null);
  await channel.publish('n', 'after');
  return { heard: (await next()).data, same: ids.every((id, index) => id === clients[index].connection.id), reasons };
}

export async function outage() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  const { id } = client.connection;
  const away = nextState(client.connection, 'disconnected');
  await ask('begin');
  await away;
  const published = channel.publish('n', 'queued');
  const overRest = await rest().channels.get('c').publish('n', 'lost').then(() => null, () => 'refused');
  await ask('end');
  await published;
  return { heard: (await next()).data, overRest, same: id === client.connection.id };
}
