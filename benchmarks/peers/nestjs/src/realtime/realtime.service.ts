import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { JwtService } from '@nestjs/jwt';
import * as Ably from 'ably';

import type { Environment } from '../environment.js';

/** Publishes events through Ably. */
@Injectable()
export class RealtimeService implements OnApplicationShutdown {
  private readonly rest: Ably.Rest;
  private readonly awaited: boolean;
  private readonly inFlight = new Set<Promise<void>>();

  /** How many events could not be published. */
  failures = 0;

  constructor(
    config: ConfigService<Environment, true>,
    private readonly jwt: JwtService,
  ) {
    const [host, port] = config.get<string>('ABLY_ADDRESS').split(':');
    const [keyName, secret] = config.get<string>('ABLY_KEY').split(':');
    this.awaited = config.get('PUBLISH') === 'await';
    this.rest = new Ably.Rest({
      endpoint: host,
      port: Number(port),
      tls: false,
      // A key itself may not be sent without TLS, a token may.
      authCallback: (_params, done) => {
        this.token(keyName, secret).then(
          (token) => done(null, token),
          (error: Error) => done(error.message, null),
        );
      },
    });
  }

  /** How many events are being published. */
  get pending(): number {
    return this.inFlight.size;
  }

  /** Publish an event of something that is stored already: a failure is counted and not thrown. */
  async publish(channel: string, id: string, name: string, data: object): Promise<void> {
    const sending = this.send(channel, { id, name, data });
    this.inFlight.add(sending);
    void sending.then(() => this.inFlight.delete(sending));
    if (this.awaited) {
      await sending;
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.inFlight);
  }

  private async send(channel: string, message: Ably.Message): Promise<void> {
    try {
      await this.rest.channels.get(channel).publish(message);
    } catch {
      this.failures += 1;
    }
  }

  private token(keyName: string, secret: string): Promise<string> {
    const claims = { 'x-ably-capability': JSON.stringify({ '*': ['*'] }), 'x-ably-clientId': '*' };
    return this.jwt.signAsync(claims, { secret, algorithm: 'HS256', keyid: keyName, expiresIn: '1h' });
  }
}
