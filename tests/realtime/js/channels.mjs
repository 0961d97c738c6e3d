// Connections and attaching: what is told, granted and denied.

import { code, nextState, queue, realtime, refusal, rest, several, subscribed } from './shared.mjs';

export async function connection() {
  const client = realtime();
  const { connection } = client;
  const [put, states] = queue();
  connection.on((change) => put(change.current));
  await nextState(connection, 'connected');
  const { id, key } = connection;
  const { maxMessageSize, maxIdleInterval, connectionStateTtl } = connection.connectionManager.connectionDetails;
  const [channel, next] = await subscribed(client, 'c');
  await channel.publish('own', '');
  const roundTrip = await connection.ping();
  client.close();
  return {
    identified: [id, key].map((text) => typeof text === 'string' && text.length > 0),
    own: (await next()).connectionId === id,
    limits: { maxMessageSize, maxIdleInterval, connectionStateTtl },
    ping: roundTrip >= 0 && roundTrip < 5_000,
    states: await several(states, 4),
    detached: channel.state,
  };
}

export async function modes() {
  const client = realtime();
  const attached = async (name, asked) => {
    const channel = client.channels.get(name, asked && { modes: asked });
    await channel.attach();
    return channel.modes.sort();
  };
  return {
    all: await attached('open'),
    asked: await attached('chat:1', ['PUBLISH', 'PRESENCE']),
    granted: await attached('c:read'),
    both: await attached('c:read:2', ['SUBSCRIBE', 'PUBLISH']),
    none: await code(client.channels.get('c:read:3', { modes: ['PUBLISH'] }).attach()),
  };
}

export async function modesEnforced() {
  const [client, other] = [realtime({ clientId: 'ann' }), realtime({ clientId: 'bob' })];
  const reader = client.channels.get('c', { modes: ['SUBSCRIBE', 'PRESENCE_SUBSCRIBE'] });
  await reader.attach();
  const publish = await code(reader.publish('n', 'x'));
  const enter = await code(reader.presence.enter());
  await reader.setOptions({ modes: ['PUBLISH', 'PRESENCE'] });
  const modes = reader.modes.sort();
  const heard = [];
  client.channels.get('c').subscribe((message) => heard.push(message.name));
  reader.presence.subscribe((event) => heard.push(event.action));
  await other.channels.get('c').presence.enter();
  await reader.publish('own', '');
  // Whatever is delivered on this connection comes in order: what came before this one is all there is.
  const [last, next] = await subscribed(client, 'open');
  await last.publish('last', '');
  await next();
  return { publish, enter, modes, heard, afterwards: await code(reader.presence.enter()), state: reader.state };
}

export async function params() {
  const client = realtime();
  const [channel] = await subscribed(client, 'c', { params: { rewind: '1', unheardOf: 'x' } });
  const first = channel.params;
  await channel.setOptions({ params: { rewind: '2', modes: 'subscribe' } });
  return { first, second: channel.params, modes: channel.modes };
}

export async function rewind() {
  const publisher = rest().channels.get('c');
  for (let number = 0; number < 5; number++) await publisher.publish('n', String(number));
  let alive = 0;
  // One client for each: who is attached to a channel already has nothing to rewind.
  const rewound = async (params) => {
    const client = realtime();
    const channel = client.channels.get('c', { params });
    const [put, next] = queue();
    const attached = nextState(channel, 'attached');
    channel.subscribe(put);
    const { hasBacklog } = await attached;
    const live = `live ${++alive}`;
    await channel.publish('n', live);
    const data = [];
    while (data.at(-1) !== live) data.push((await next()).data);
    client.close();
    return [hasBacklog, data];
  };
  return {
    time: await rewound({ rewind: '1m' }),
    number: await rewound({ rewind: '2' }),
    limited: await rewound({ rewind: '2m', rewindLimit: '3' }),
    none: await rewound({}),
    invalid: await code(realtime().channels.get('c', { params: { rewind: 'soon' } }).attach()),
  };
}

export async function denial() {
  const client = realtime();
  const channel = client.channels.get('denied');
  const denied = await code(channel.attach());
  const [open, next] = await subscribed(client, 'open');
  await open.publish('still here', '');
  return {
    denied,
    state: channel.state,
    reason: refusal(channel.errorReason),
    history: await code(channel.history()),
    publish: await code(rest().channels.get('denied').publish('n', 'x')),
    heard: (await next()).name,
    connection: client.connection.state,
  };
}

export async function names() {
  const client = realtime();
  return {
    refused: await Promise.all(['', ':bad', '[bad'].map((name) => code(client.channels.get(name).attach()))),
    overRest: await code(rest().channels.get(':bad').publish('n', 'x')),
    odd: await Promise.all(['a/b?c=d&e#f', 'ž 😊', '100%'].map(roundTrip)),
    connection: client.connection.state,
  };

  async function roundTrip(name) {
    const [channel, next] = await subscribed(client, name);
    await rest().channels.get(name).publish('n', name);
    const { data } = await next();
    await channel.detach();
    return data === name && channel.state === 'detached';
  }
}
