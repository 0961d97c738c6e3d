// Markup without a build: `html` makes Preact's elements of a template.

import htm from "htm";
import { h } from "preact";

export const html = htm.bind(h);
