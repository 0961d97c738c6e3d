// Keys, tokens and clientIds: who is let in, as whom, and for how long.

import Ably from 'ably';
import { ask, code, given, handingOut, nextState, only, realtime, refusal, rest } from './shared.mjs';
import { several, subscribed } from './shared.mjs';

const connected = (client) => nextState(client.connection, 'connected');
/** How a connection with these credentials ends: the state, and the reason given. */
async function fate(credentials, state = 'failed') {
  const { reason } = await nextState(new Ably.Realtime(only(credentials)).connection, state);
  return refusal(reason);
}

export async function requestToken() {
  const [key] = given;
  const { auth } = new Ably.Rest(only({ key }));
  const asked = { capability: { 'c:*': ['subscribe', 'publish'], a: ['*'] }, clientId: 'ann', ttl: 60_000 };
  const details = await auth.requestToken(asked);
  const request = await auth.createTokenRequest();
  const exchange = (tokenRequest) => auth.requestToken(null, { authCallback: handingOut([tokenRequest]) });
  await exchange(request);
  const plainToken = await auth.requestToken({ capability: { c: ['publish'] } });
  const holder = new Ably.Rest(only({ token: plainToken }));
  return {
    token: typeof details.token,
    keyName: key.startsWith(`${details.keyName}:`),
    capability: details.capability,
    clientId: details.clientId,
    ttl: details.expires - details.issued,
    usual: plainToken.expires - plainToken.issued,
    anonymous: plainToken.clientId ?? null,
    used: [await code(holder.channels.get('c').publish('n')), await code(holder.channels.get('d').publish('n'))],
    replayed: await code(exchange(request)),
    forged: await code(exchange({ ...(await auth.createTokenRequest()), clientId: 'root' })),
    old: (await code(exchange(await auth.createTokenRequest({ timestamp: Date.now() - 3_600_000 }))))[0],
    tooLong: (await code(auth.requestToken({ ttl: 25 * 3_600_000 })))[0],
    queried: typeof (await auth.createTokenRequest(null, { key, queryTime: true })).mac,
  };
}

export async function authCallbacks() {
  const [key, jwt] = given;
  const { auth } = new Ably.Rest(only({ key }));
  const forms = {
    request: (params) => auth.createTokenRequest({ ...params, clientId: 'ann' }),
    details: (params) => auth.requestToken({ ...params, clientId: 'ann' }),
    jwt: async () => jwt,
    text: async () => (await auth.requestToken({ clientId: 'ann' })).token,
  };
  const found = {};
  for (const [form, make] of Object.entries(forms)) {
    const authCallback = (params, callback) => make(params).then((token) => callback(null, token), callback);
    const client = new Ably.Realtime(only({ authCallback }));
    await connected(client);
    const published = await code(new Ably.Rest(only({ authCallback })).channels.get('c').publish('n', ''));
    found[form] = [client.auth.clientId, published];
  }
  return found;
}

export async function keyAuth() {
  const [key] = given;
  const [nobody, ann] = [new Ably.Realtime(only({ key })), new Ably.Realtime(only({ key, clientId: 'ann' }))];
  const [channel, next] = await subscribed(nobody, 'c');
  await channel.publish('anonymous', '');
  await channel.publish({ name: 'on behalf', clientId: 'bob' });
  await ann.channels.get('c').publish('identified', '');
  const overRest = new Ably.Rest(only({ key, clientId: 'ann' })).channels.get('c');
  await overRest.publish('rest', '');
  const refused = { name: 'n', clientId: 'bob' };
  return {
    heard: (await several(next, 4)).map((message) => [message.name, message.clientId ?? null]),
    ids: [nobody.auth.clientId ?? null, ann.auth.clientId],
    refused: [await code(ann.channels.get('c').publish(refused)), await code(overRest.publish(refused))],
    enterFor: await code(channel.presence.enterClient('carl')),
    states: [nobody, ann].map((client) => client.connection.state),
  };
}

export async function clientIds() {
  const [anns, wildcard, anonymous] = given;
  const authorized = (token, more = {}) => ({ authCallback: handingOut([token]), ...more });
  const [, next] = await subscribed(new Ably.Realtime(only(authorized(anonymous))), 'c');
  const ann = new Ably.Realtime(only(authorized(anns)));
  const bob = new Ably.Realtime(only(authorized(wildcard, { clientId: 'bob' })));
  await ann.channels.get('c').publish('own', '');
  await bob.channels.get('c').publish('claimed', '');
  await new Ably.Rest(only(authorized(anns))).channels.get('c').publish('rest', '');
  await new Ably.Rest(only(authorized(wildcard))).channels.get('c').publish({ name: 'any', clientId: 'carl' });
  const foreign = { name: 'n', clientId: 'bob' };
  return {
    heard: (await several(next, 4)).map((message) => [message.name, message.clientId]),
    ids: [ann.auth.clientId, bob.auth.clientId],
    foreign: [
      await code(ann.channels.get('c').publish(foreign)),
      await code(new Ably.Rest(only(authorized(anns))).channels.get('c').publish(foreign)),
      await code(new Ably.Rest(only(authorized(anonymous))).channels.get('c').publish(foreign)),
    ],
    mismatch: await fate(authorized(anns, { clientId: 'bob' })),
    unclaimable: (await fate(authorized(anonymous, { clientId: 'bob' })))[0],
    state: ann.connection.state,
  };
}

export async function wrongCredentials() {
  const [key, forged, expired] = given;
  const [name] = key.split(':');
  const overRest = (credentials) => code(new Ably.Rest(only(credentials)).stats());
  return {
    secret: [await fate({ key: `${name}:wrong` }), await overRest({ key: `${name}:wrong` })],
    unknown: [await fate({ key: 'nobody.knows:this' }), await overRest({ key: 'nobody.knows:this' })],
    nonsense: [await fate({ token: 'nonsense' }), await overRest({ token: 'nonsense' })],
    // The codes of tokens ask for another one; the SDK gives up only when there is no way to get it.
    forged: [await fate({ token: forged }), await fate({ authCallback: handingOut([forged]) }, 'disconnected')],
    expired: [await fate({ token: expired }), await fate({ authCallback: handingOut([expired]) }, 'disconnected')],
  };
}

// Over REST this version of the SDK cannot show it: it tries again for ever, with the header of the token that has
// expired.
export async function renewal() {
  const hand = handingOut(given);
  let calls = 0;
  const client = new Ably.Realtime(only({ authCallback: (params, callback) => (calls++, hand(params, callback)) }));
  const { reason } = await nextState(client.connection, 'disconnected');
  await connected(client);
  await client.channels.get('c').publish('n', '');
  return { code: reason.code, calls };
}

/** An authCallback that first hands out a token that is minted only now, and then the one that was given. */
const brief = async () => handingOut([await ask('mint'), ...given]);

export async function expiry() {
  const client = realtime({ authCallback: await brief() });
  await connected(client);
  const { id } = client.connection;
  const { reason } = await nextState(client.connection, 'disconnected');
  await connected(client);
  return { code: reason.code, same: id === client.connection.id };
}

/** Let tokens expire three times in the middle of a stream of messages. */
export async function expiries() {
  const [token] = given;
  const client = new Ably.Realtime(only({ authCallback: (_params, callback) => ask('mint').then((t) => callback(null, t)) }));
  const [, next] = await subscribed(client, 'c');
  const { id } = client.connection;
  const reasons = [];
  client.connection.on('disconnected', ({ reason }) => reasons.push(reason.code));
  const publisher = new Ably.Rest(only({ token })).channels.get('c');
  let published = 0;
  while (reasons.length < 3) await publisher.publish('n', String(published++));
  const heard = await several(next, published);
  const complete = heard.every(({ data }, index) => data === String(index));
  return { reasons: reasons.slice(0, 3), complete, same: id === client.connection.id };
}

/** Let the callback fail when it is asked for the second token, with an error that has this status. */
async function failing(statusCode, state) {
  const client = new Ably.Realtime(only({ authCallback: handOut }));
  const changes = [];
  let calls = 0;
  client.connection.on(({ current, reason }) => changes.push([current, reason?.code ?? null]));
  await nextState(client.connection, 'disconnected');
  await nextState(client.connection, state);
  return { changes: changes.slice(2), calls };

  async function handOut(_params, callback) {
    if (++calls !== 2) callback(null, await ask('mint'));
    else callback(Object.assign(new Error('no token'), { code: 40000, statusCode }));
  }
}

export const failingCallback = () => failing(500, 'connected');
export const forbiddingCallback = () => failing(403, 'failed');

export async function reauth() {
  const client = realtime({ authCallback: await brief() });
  const updated = nextState(client.connection, 'update');
  const [kept] = await subscribed(client, 'kept');
  const [lost] = await subscribed(client, 'lost');
  const failed = nextState(lost, 'failed');
  await updated;
  const { reason } = await failed;
  return { code: reason.code, kept: kept.state, state: client.connection.state };
}

export async function authorize() {
  const [, less, others] = given;
  const client = realtime();
  const [kept, next] = await subscribed(client, 'kept');
  const [lost] = await subscribed(client, 'lost');
  const { id } = client.connection;
  const failed = nextState(lost, 'failed');
  await client.auth.authorize(null, { authCallback: handingOut([less]) });
  const { reason } = await failed;
  await rest().channels.get('kept').publish('still', '');
  const heard = (await next()).name;
  const outcome = { code: reason.code, kept: kept.state, heard, same: id === client.connection.id };
  const stranger = await code(client.auth.authorize(null, { authCallback: handingOut([others]) }));
  return { ...outcome, stranger: stranger[0], state: client.connection.state };
}

export async function revoking() {
  const [key, ...tokens] = given;
  const clients = tokens.map((token) => new Ably.Realtime(only({ authCallback: handingOut([token]) })));
  await Promise.all(clients.map(connected));
  const bystander = clients.pop();
  const disconnected = clients.map((client) => nextState(client.connection, 'disconnected'));
  const result = await new Ably.Rest(only({ key })).auth.revokeTokens([
    { type: 'clientId', value: 'ann' },
    { type: 'revocationKey', value: 'group' },
    { type: 'channel', value: 'room' },
    { type: 'unheardOf', value: 'x' },
  ]);
  const now = Date.now();
  const recent = (instant) => Number.isInteger(instant) && Math.abs(now - instant) < 5_000;
  return {
    counts: [result.successCount, result.failureCount],
    results: result.results.map(({ target, issuedBefore, appliesAt, error }) =>
      error ? [target, error.statusCode] : [target, recent(issuedBefore), recent(appliesAt)],
    ),
    reasons: (await Promise.all(disconnected)).map((change) => change.reason.code),
    bystander: await bystander.connection.ping().then(() => bystander.connection.state),
    overRest: await code(new Ably.Rest(only({ token: tokens[0] })).channels.get('c').publish('n', '')),
    byToken: await code(rest().auth.revokeTokens([{ type: 'clientId', value: 'ann' }])),
  };
}

export async function revokingWithMargin() {
  const [key, token] = given;
  const { auth } = new Ably.Rest(only({ key }));
  const asked = [];
  const authCallback = (_params, callback) => {
    const next = asked.length ? ask('mint') : Promise.resolve(token);
    asked.push(1);
    next.then((minted) => callback(null, minted));
  };
  const holder = new Ably.Realtime(only({ authCallback }));
  await connected(holder);
  const { id } = holder.connection;
  const left = [];
  holder.connection.on('disconnected', () => left.push(1));
  const updated = nextState(holder.connection, 'update');
  const issuedBefore = Date.now();
  const margin = { issuedBefore, allowReauthMargin: true };
  const { results } = await auth.revokeTokens([{ type: 'clientId', value: 'ann' }], margin);
  await updated;
  return {
    margin: results[0].appliesAt - issuedBefore >= 30_000,
    issuedBefore: results[0].issuedBefore === issuedBefore,
    asked: asked.length,
    left: left.length,
    same: id === holder.connection.id,
  };
}

export async function changingCapabilities() {
  const client = realtime();
  const [channel, next] = await subscribed(client, 'c');
  const seen = [];
  const attempt = async (name) => {
    const refused = await code(channel.publish(name, ''));
    seen.push([refused, channel.modes.sort(), channel.state]);
  };
  await attempt('before');
  await client.auth.authorize();
  await attempt('between');
  const heard = (await next()).name;
  await client.auth.authorize();
  await attempt('after');
  return { seen, heard, state: client.connection.state };
}

/**
 * Let a client's token be revoked in the middle of a stream of messages, and renewed by one without the channel
 * `lost`. `renewed` is what its connection goes through.
 */
async function revokedInTheMiddle(renewed) {
  const [token] = given;
  const mint = (_params, callback) => ask('mint').then((minted) => callback(null, minted));
  const client = new Ably.Realtime(only({ authCallback: mint }));
  const [kept, next] = await subscribed(client, 'kept');
  const [lost] = await subscribed(client, 'lost');
  const { id } = client.connection;
  const reasons = [];
  client.connection.on('disconnected', ({ reason }) => reasons.push(reason.code));
  const publisher = new Ably.Rest(only({ token })).channels.get('kept');
  let published = 0;
  let more = true;
  const publishing = (async () => {
    while (more) await publisher.publish('n', String(published++));
  })();
  const again = nextState(client.connection, renewed);
  const failed = nextState(lost, 'failed');
  const first = (await next()).data;
  await ask('revoke');
  await again;
  await ask('applied');
  const { reason } = await failed;
  more = false;
  await publishing;
  const heard = [first, ...(await several(next, published - 1)).map(({ data }) => data)];
  return {
    complete: heard.every((data, index) => data === String(index)),
    several: published > 2,
    same: id === client.connection.id,
    reasons,
    lost: refusal(reason)[0],
    kept: kept.state,
    state: client.connection.state,
  };
}

export const revokedAndRenewed = () => revokedInTheMiddle('connected');
export const revokedWithAMargin = () => revokedInTheMiddle('update');
