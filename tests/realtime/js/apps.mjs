// Apps made for tests, in the form in which Ably's own test suites make them; and limits on rates.

import Ably from 'ably';
import { code, nextState, only, otherFormat, port, realtime, refusal, rest, subscribed } from './shared.mjs';

// As in `test-resources/test-app-setup.json` of https://github.com/ably/ably-common.
const SETUP = {
  keys: [
    {},
    {
      capability: `{
        "cansubscribe:*":["subscribe"], "canpublish:*":["publish"], "canpublish:andpresence":["presence","publish"]
      }`,
    },
    { capability: '{ "channel0":["publish"], "channel2":["publish", "subscribe"], "channel6":["*"] }' },
    { revocableTokens: true },
  ],
  namespaces: [{ id: 'persisted', persisted: true }, { id: 'pushenabled', pushEnabled: true }],
  channels: [
    {
      name: 'persisted:presence_fixtures',
      presence: [
        { clientId: 'client_bool', data: 'true' },
        { clientId: 'client_int', data: '24' },
        { clientId: 'client_json', data: '{ "test": "This is a JSONObject clientData payload"}' },
        { clientId: 'client_decoded', data: '{"example":{"json":"Object"}}', encoding: 'json' },
        {
          clientId: 'client_encoded',
          data: 'HO4cYSP8LybPYBPZPHQOtuD53yrD3YV3NBoTEYBh4U0N1QXHbtkfsDfTspKeLQFt',
          encoding: 'json/utf-8/cipher+aes-128-cbc/base64',
        },
      ],
    },
  ],
};
const CIPHER_KEY = 'WUP6u0K7MXI5Zeo0VppPwg==';

async function created(spec = SETUP) {
  const response = await fetch(`http://127.0.0.1:${port}/apps`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify(spec),
  });
  const app = await response.json();
  return { ...app, at: { endpoint: app.endpoint, port: app.port, tls: app.tls }, status: response.status };
}

export async function sandbox() {
  const app = await created();
  const client = new Ably.Realtime(only({ ...app.at, key: app.keys[0].keyStr }));
  const name = SETUP.channels[0].name;
  const cipher = { key: CIPHER_KEY, algorithm: 'aes', mode: 'cbc' };
  const members = await client.channels.get(name, { cipher }).presence.get();
  const restClient = new Ably.Rest(only({ ...app.at, key: app.keys[0].keyStr }));
  const overRest = await restClient.channels.get(name, { cipher }).presence.get();
  const byId = (items) => Object.fromEntries(items.map((member) => [member.clientId, member.data]));
  const [id] = app.keys[0].keyName.split('.');
  return {
    status: app.status,
    named: [id === app.appId, app.keys.every((key) => key.keyStr === `${key.keyName}:${key.keySecret}`)],
    capabilities: app.keys.map((key) => JSON.parse(key.capability)),
    namespaces: app.namespaces.map((namespace) => namespace.id),
    members: byId(members),
    overRest: byId(overRest.items),
  };
}

export async function sandboxKeys() {
  const app = await created();
  const [whole, narrow] = app.keys.map((key) => new Ably.Realtime(only({ ...app.at, key: key.keyStr })));
  const [, next] = await subscribed(narrow, 'cansubscribe:1');
  await whole.channels.get('cansubscribe:1').publish('heard', '');
  const { auth } = new Ably.Rest(only({ ...app.at, key: app.keys[2].keyStr }));
  const requested = (capability) => auth.requestToken({ capability }).then((details) => details.capability, refusal);
  const revoke = (key) =>
    new Ably.Rest(only({ ...app.at, key: key.keyStr })).auth.revokeTokens([{ type: 'clientId', value: 'x' }]);
  return {
    heard: (await next()).name,
    publish: await code(narrow.channels.get('cansubscribe:1').publish('n', '')),
    published: await code(narrow.channels.get('canpublish:1').publish('n', '')),
    attach: await code(narrow.channels.get('elsewhere').attach()),
    whole: await requested(undefined),
    same: await requested({ channel2: ['subscribe'] }),
    wildcardOperations: await requested({ channel2: ['*'] }),
    wildcardChannel: await requested({ '*': ['publish'] }),
    anything: await requested({ channel6: ['history'] }),
    someChannels: await requested({ channel0: ['publish'], elsewhere: ['publish'] }),
    nothing: await requested({ elsewhere: ['*'] }),
    noOperation: await requested({ channel0: ['subscribe'] }),
    revoke: [await code(revoke(app.keys[0])), await code(revoke(app.keys[3]))],
  };
}

export async function sandboxApart() {
  const apps = [await created(), await created()];
  const clients = apps.map((app) => new Ably.Realtime(only({ ...app.at, key: app.keys[0].keyStr })));
  const [[first, next], [second, nextOther]] = await Promise.all(clients.map((client) => subscribed(client, 'c')));
  await first.publish('first', '');
  await second.publish('second', '');
  const heard = [(await next()).name, (await nextOther()).name];
  const lost = nextState(clients[0].connection, 'disconnected');
  const failed = nextState(clients[0].connection, 'failed');
  const remove = async (key) => {
    const headers = { Authorization: `Basic ${btoa(key.keyStr)}` };
    return (await fetch(`http://127.0.0.1:${port}/apps/${apps[0].appId}`, { method: 'DELETE', headers })).status;
  };
  const stranger = await remove(apps[1].keys[0]);
  const removed = await remove(apps[0].keys[0]);
  await lost;
  return {
    heard,
    stranger: stranger >= 400,
    removed,
    failed: (await failed).reason.code,
    rest: await code(new Ably.Rest(only({ key: apps[0].keys[0].keyStr })).stats()),
    other: await code(second.publish('still', '')),
  };
}

export async function persisted() {
  const app = await created();
  const client = new Ably.Rest(only({ ...app.at, key: app.keys[0].keyStr, useBinaryProtocol: otherFormat === 'json' }));
  const [kept, lost] = ['persisted:c', 'plain:c'].map((name) => client.channels.get(name));
  for (const channel of [kept, lost]) await channel.publish('n', '');
  const length = async (channel) => (await channel.history()).items.length;
  while (await length(lost));
  return { kept: await length(kept) };
}

/** Publish at once, so many times: how it ended, in the order of the calls, and how else than well. */
async function burst(channel, count) {
  const calls = Array.from({ length: count }, (_, number) => code(channel.publish('n', `${number}`)));
  const ends = (await Promise.all(calls)).map((end) => end && end.join(' '));
  return { ends, refusals: [...new Set(ends.filter(Boolean))], accepted: ends.filter((end) => !end).length };
}

export async function connectionRate() {
  const client = realtime();
  const [channel] = await subscribed(client, 'c');
  const { ends, refusals } = await burst(channel, 12);
  return {
    first: ends.slice(0, 5),
    refusals,
    states: [client.connection.state, channel.state],
    others: await code(rest().channels.get('c').publish('n', '')),
  };
}

export async function channelRate() {
  const overRest = await burst(rest().channels.get('c'), 12);
  const client = realtime();
  await nextState(client.connection, 'connected');
  const { ends, refusals } = await burst(client.channels.get('open'), 12);
  return {
    rest: [overRest.accepted >= 3, overRest.refusals],
    realtime: [ends.slice(0, 3), refusals],
    state: client.connection.state,
  };
}
