// Drives the genuine Ably JavaScript SDK against the local endpoint.
// Usage: node checks.mjs <scenario> <port> <format> [<token, or whatever the scenario is to be given> ...]
// Prints lines of JSON: `{"ask": ...}` whenever the test is to do something, which it answers with a line on the
// standard input, and last `{"outcome": ...}`. Any failure goes to stderr with another exit code than 0.

import * as apps from './apps.mjs';
import * as channels from './channels.mjs';
import * as continuity from './continuity.mjs';
import * as credentials from './credentials.mjs';
import * as faults from './faults.mjs';
import * as presence from './presence.mjs';
import * as publishing from './publishing.mjs';
import * as rest from './rest.mjs';
import * as sealed from './sealed.mjs';
import { scenario } from './shared.mjs';

const areas = [apps, channels, continuity, credentials, faults, presence, publishing, rest, sealed];
const scenarios = Object.assign({}, ...areas);

console.log(JSON.stringify({ outcome: await scenarios[scenario]() }));
process.exit(0);
