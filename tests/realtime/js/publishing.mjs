// Publishing, and how data and messages arrive.

import Ably from 'ably';
import { code, options, otherFormat, plain, realtime, rest, several, subscribed } from './shared.mjs';

export async function messages() {
  const [alice, bob] = [realtime(), realtime({ echoMessages: false })];
  const [hers, next] = await subscribed(alice, 'chat:session:1');
  const [his, bobs] = await subscribed(bob, 'chat:session:1');
  const { serials } = await hers.publish([{ name: 'text', data: 'halo 😊' }, { name: 'object', data: { seq: 1 } }]);
  await his.publish('bytes', Buffer.from([0, 255]));
  await hers.publish('last', '');
  const received = await several(next, 4);
  return {
    received: received.map((message) => [message.name, plain(message.data)]),
    serials: serials.every((serial, index) => serial === received[index].serial),
    connections: received.map((message) => message.connectionId === alice.connection.id),
    ids: new Set(received.map((message) => message.id)).size,
    bobs: (await several(bobs, 3)).map((message) => message.name),
  };
}

export async function variants() {
  const [, next] = await subscribed(realtime(), 'c');
  const client = rest();
  const channel = client.channels.get('c');
  const headers = { headers: { lang: 'cs', seq: 1 } };
  await channel.publish('string', 'halo');
  await channel.publish('object', { deep: { list: [null, true, 1.5] } });
  await channel.publish('array', [1, 'two']);
  await channel.publish('bytes', Buffer.from([0, 255]));
  await channel.publish('empty', '');
  await channel.publish('unicode', 'žluťoučký 😊 \u0000');
  await channel.publish('nothing');
  await channel.publish(null, 'nameless');
  await channel.publish({ name: 'extras', data: 'x', extras: headers });
  const { serials } = await channel.publish([{ name: 'first', data: {} }, { name: 'second', data: [] }]);
  const heard = await several(next, 11);
  const kept = (await channel.history({ direction: 'forwards' })).items;
  const described = ({ name, data, encoding, extras }) => [name, plain(data), encoding, extras];
  return {
    heard: heard.map(described),
    kept: JSON.stringify(kept.map(described)) === JSON.stringify(heard.map(described)),
    serials: serials.map((serial, index) => serial === kept[9 + index].serial),
    refused: {
      number: await code(channel.publish('n', 1)),
      extras: await code(channel.publish({ name: 'n', extras: { unheardOf: 1 } })),
      nested: await code(channel.publish({ name: 'n', extras: { headers: { deep: {} } } })),
    },
  };
}

export async function encodings() {
  const mine = rest();
  const theirs = new Ably.Rest(options({ useBinaryProtocol: otherFormat === 'msgpack' }));
  const [, next] = await subscribed(realtime(), 'c');
  const [, nextOther] = await subscribed(realtime({ useBinaryProtocol: otherFormat === 'msgpack' }), 'c');
  const object = Buffer.from('{"a":1}').toString('base64');
  const [json, msgpack] = otherFormat === 'json' ? [theirs, mine] : [mine, theirs];
  for (const client of [json, msgpack]) {
    await client.channels.get('c').publish([{ data: Buffer.from([0, 255]) }, { data: { a: 1 } }]);
    const raw = [{ data: 'AP8=', encoding: 'base64' }, { data: object, encoding: 'json/utf-8/base64' }];
    const posted = await client.request('post', '/channels/c/messages', 3, null, raw);
    if (!posted.success) throw posted.errorMessage;
    await client.channels.get('c').publish('unknown', { data: 'x' });
  }
  // The newest are those of the client that speaks MessagePack, whose bytes are no base64.
  const wire = async (client) => (await client.request('get', '/channels/c/messages', 3, { limit: '5' })).items;
  const onWire = ({ data, encoding }) => [typeof data, Buffer.isBuffer(data), encoding ?? null];
  return {
    heard: (await several(next, 10)).map(({ data, encoding }) => [plain(data), encoding]),
    other: (await several(nextOther, 10)).map(({ data, encoding }) => [plain(data), encoding]),
    json: (await wire(json)).slice(-2).map(onWire),
    msgpack: (await wire(msgpack)).slice(-2).map(onWire),
  };
}

export async function withoutAttaching() {
  const [listener, client] = [realtime(), realtime()];
  const [, next] = await subscribed(listener, 'c');
  const channel = client.channels.get('c');
  const answered = await channel.publish('transient', 'x');
  const heard = await next();
  return {
    heard: heard.name,
    serial: answered.serials[0] === heard.serial,
    state: channel.state,
    denied: await code(client.channels.get('denied').publish('n', 'x')),
    name: await code(client.channels.get(':bad').publish('n', 'x')),
    clientId: await code(channel.publish({ name: 'n', clientId: 'somebody' })),
    afterwards: typeof (await channel.publish('still', 'x')).serials[0],
    connection: client.connection.state,
  };
}

export async function echoParam() {
  const client = realtime();
  const [quiet, next] = await subscribed(client, 'c', { params: { echo: 'false' } });
  const [loud, echoed] = await subscribed(client, 'open');
  await quiet.publish('own', '');
  await loud.publish('own', '');
  await rest().channels.get('c').publish('foreign', '');
  return { params: quiet.params, quiet: (await next()).name, loud: (await echoed()).name };
}

export async function idempotent() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  const overRest = rest().channels.get('c');
  for (const publisher of [channel, overRest]) {
    await publisher.publish({ id: 'once', name: 'single' });
    await publisher.publish([
      { id: 'both:0', name: 'first' },
      { id: 'both:1', name: 'second' },
    ]);
  }
  await channel.publish('last', '');
  return {
    heard: (await several(next, 4)).map((message) => message.name),
    kept: (await overRest.history({ direction: 'forwards' })).items.map((message) => message.name),
    mixed: await code(overRest.publish([{ id: 'x:0' }, { id: 'y:1' }])),
  };
}

export async function sizes() {
  const text = 'x'.repeat(66_000);
  const [small, large] = [rest(), rest({ maxMessageSize: 1_000_000 })].map((client) => client.channels.get('c'));
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  return {
    told: client.connection.connectionManager.connectionDetails.maxMessageSize,
    byTheClient: await code(small.publish('n', text)),
    // What CONNECTED tells counts from then on: more than 64 KiB are let through, and what is too much is refused.
    raised: [await code(channel.publish('n', text)), (await next()).data.length],
    byTheRaisedClient: await code(channel.publish('n', 'x'.repeat(70_001))),
    byTheServer: (await code(large.publish('n', 'x'.repeat(70_001))))[0],
    together: (await code(large.publish([{ data: text }, { data: text }])))[0],
    withinIt: await code(large.publish('n', text)),
  };
}

/** Try to change what was said, in every way that the SDK has. */
export async function edits() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  const [serial] = (await channel.publish('n', 'first')).serials;
  const message = { serial, data: 'changed' };
  const annotation = { type: 'reaction:distinct.v1', name: '👍' };
  const refused = {};
  for (const [way, one] of Object.entries({ realtime: channel, rest: rest().channels.get('c') })) {
    refused[way] = [
      await code(one.updateMessage(message)),
      await code(one.deleteMessage(message)),
      await code(one.appendMessage(message)),
      await code(one.getMessage(serial)),
      await code(one.getMessageVersions(serial)),
      await code(one.annotations.publish(serial, annotation)),
      await code(one.annotations.delete(serial, annotation)),
      await code(one.annotations.get(serial)),
    ];
  }
  const attach = (modes) => code(client.channels.get(modes[0], { modes }).attach());
  await channel.publish('n', 'last');
  return {
    refused,
    heard: (await several(next, 2)).map(({ data }) => data),
    annotations: await attach(['ANNOTATION_SUBSCRIBE']),
    objects: await attach(['OBJECT_SUBSCRIBE', 'OBJECT_PUBLISH']),
    state: client.connection.state,
  };
}
