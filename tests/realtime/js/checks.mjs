// Drives the genuine Ably JavaScript SDK against the local endpoint.
// Usage: node checks.mjs <scenario> <port> <format> <token> [<token> ...]
// Prints one line of JSON, the outcome, and exits with 0; any failure goes to stderr with another exit code.

import Ably from 'ably';

const [scenario, port, format, ...tokens] = process.argv.slice(2);

const options = (more = {}) => {
  const waiting = [...tokens];
  return {
    endpoint: '127.0.0.1',
    port: Number(port),
    tls: false,
    useBinaryProtocol: format === 'msgpack',
    transports: ['web_socket'],
    disableConnectivityCheck: true,
    disconnectedRetryTimeout: 50,
    logLevel: 1,
    // Each call hands out the next token; the last one over and over.
    authCallback: (_params, callback) => callback(null, waiting.length > 1 ? waiting.shift() : waiting[0]),
    ...more,
  };
};

const code = (promise) => promise.then(() => null, (error) => [error.code, error.statusCode]);
const nextState = (emitter, state) => new Promise((resolve) => emitter.once(state, resolve));
const plain = (data) => (Buffer.isBuffer(data) ? [...data] : data);

/** A channel that is attached, and a function that waits for its next message. */
async function subscribed(realtime, name) {
  const channel = realtime.channels.get(name);
  const arrived = [];
  const waiting = [];
  await channel.subscribe((message) => (waiting.length ? waiting.shift()(message) : arrived.push(message)));
  return [channel, () => (arrived.length ? arrived.shift() : new Promise((resolve) => waiting.push(resolve)))];
}

const scenarios = {
  async messages() {
    const [alice, bob] = [new Ably.Realtime(options()), new Ably.Realtime(options({ echoMessages: false }))];
    const [hers, next] = await subscribed(alice, 'chat:session:1');
    const [his, bobs] = await subscribed(bob, 'chat:session:1');
    const { serials } = await hers.publish([{ name: 'text', data: 'halo 😊' }, { name: 'object', data: { seq: 1 } }]);
    await his.publish('bytes', Buffer.from([0, 255]));
    const received = [await next(), await next(), await next()];
    const bobsFirst = await bobs();
    return {
      received: received.map((message) => [message.name, plain(message.data)]),
      serialsMatch: serials.every((serial, index) => serial === received[index].serial),
      bobsFirst: bobsFirst.name,
      denied: await code(alice.channels.get('denied').attach()),
      state: alice.connection.state,
    };
  },

  async rest() {
    const rest = new Ably.Rest(options());
    const channel = rest.channels.get('paged');
    for (let number = 0; number < 5; number++) await channel.publish('n', { number });
    const pages = [];
    for (let page = await channel.history({ limit: 2 }); page; page = await page.next()) {
      pages.push(page.items.map((message) => message.data.number));
    }
    const batch = await rest.batchPublish([{ channels: ['open', 'denied'], messages: [{ name: 'n', data: 'x' }] }]);
    return {
      pages,
      batch: batch.map(({ successCount, failureCount, results }) => [
        successCount,
        failureCount,
        results.map((result) => [result.channel, result.error ? result.error.code : null]),
      ]),
      denied: await code(rest.channels.get('denied').publish('n', 'x')),
      time: Math.abs((await rest.time()) - Date.now()) < 5000,
    };
  },

  async presence() {
    const [ann, late] = [new Ably.Realtime(options()), new Ably.Realtime(options())];
    const channel = ann.channels.get('room');
    await channel.presence.enter({ typing: false });
    await channel.presence.update({ typing: true });
    const room = late.channels.get('room');
    const present = await room.presence.get();
    const left = new Promise((resolve) => room.presence.subscribe('leave', resolve));
    ann.close();
    return {
      present: present.map((member) => [member.clientId, member.data]),
      left: (await left).clientId,
      afterwards: (await room.presence.get()).length,
    };
  },

  async resume() {
    const [client, other] = [new Ably.Realtime(options()), new Ably.Realtime(options())];
    const [channel, next] = await subscribed(client, 'c');
    await other.channels.get('c').publish('n', 'before');
    const before = (await next()).data;
    const id = client.connection.id;
    const dropped = nextState(client.connection, 'disconnected');
    client.connection.connectionManager.activeProtocol.getTransport().wsConnection.terminate();
    await dropped;
    await other.channels.get('c').publish('n', 'meanwhile');
    const meanwhile = (await next()).data;
    const attached = await channel.history({ untilAttach: true });
    return { before, meanwhile, same: id === client.connection.id, history: attached.items.length };
  },

  async expiry() {
    const client = new Ably.Realtime(options());
    await nextState(client.connection, 'connected');
    const { reason } = await nextState(client.connection, 'disconnected');
    await nextState(client.connection, 'connected');
    return { code: reason.code };
  },

  async reauth() {
    const client = new Ably.Realtime(options());
    const [kept] = await subscribed(client, 'kept');
    const [lost] = await subscribed(client, 'lost');
    const failed = nextState(lost, 'failed');
    await nextState(client.connection, 'update');
    const { reason } = await failed;
    return { code: reason.code, kept: kept.state, state: client.connection.state };
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
process.exit(0);
