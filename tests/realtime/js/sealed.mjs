// Encrypted channels, heard with the key, with another one and with none; and what the reference client believes.

import Ably from 'ably';
import { Seal } from '../../../web/client/seal.js';
import { ask, given, handingOut, only, options, queue, several, subscribed } from './shared.mjs';

const bytes = (data) => Buffer.isBuffer(data) || data instanceof ArrayBuffer || ArrayBuffer.isView(data);

/** A client of one of the tokens. */
const client = (token) => new Ably.Realtime({ ...options(), ...only({ authCallback: handingOut([token]) }) });

export async function sealed() {
  const [token, name, cipherKey, proofKey, wrongKey] = given;
  const seal = new Seal(cipherKey, proofKey);
  const [, right] = await subscribed(client(token), name, seal.channelOptions);
  const [, wrong] = await subscribed(client(token), name, { cipher: { key: wrongKey } });
  const [, none] = await subscribed(client(token), name);
  await ask('publish');
  const heard = [await right(), await right(), await right(), await right()];
  const opened = [];
  for (const one of heard) opened.push(await seal.open(one));
  const unread = [await wrong(), await none()];
  const [genuine] = heard;
  const forged = [
    { ...genuine, name: 'session-status' },
    { ...genuine, data: { ...genuine.data, seq: 8 } },
    { ...genuine, data: { ...genuine.data, proof: genuine.data.proof.slice(4) } },
    { ...genuine, data: { ...genuine.data, proof: '%' } },
    { ...genuine, data: { ...genuine.data, proof: undefined } },
    ...[undefined, null, 'teks', 7, []].map((data) => ({ name: 'message', data })),
    ...unread,
  ];
  const believed = [];
  for (const one of forged) believed.push(await seal.open(one));
  return {
    opened,
    others: await new Seal(cipherKey, wrongKey).open(genuine),
    unread: unread.map((one) => [bytes(one.data) ? 'bytes' : typeof one.data, one.encoding]),
    believed: believed.filter((one) => one !== null),
  };
}

export async function sealedPresence() {
  const [ann, ben, name, cipherKey, proofKey] = given;
  const { channelOptions } = new Seal(cipherKey, proofKey);
  const [hers] = await subscribed(client(ann), name, channelOptions);
  const [his] = await subscribed(client(ben), name);
  const [put, next] = queue();
  for (const channel of [hers, his]) await channel.presence.subscribe('enter', put);
  await hers.presence.enter();
  await his.presence.enter({});
  await several(next, 4);
  const found = [];
  for (const channel of [hers, his]) {
    const members = await channel.presence.get();
    found.push(members.map((one) => [one.clientId, bytes(one.data) ? 'bytes' : one.data]).sort());
  }
  return { found };
}
