import 'reflect-metadata';

import { ValidationPipe } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';

import { AppModule } from './app.module.js';
import { EnvelopeFilter } from './common/envelope.filter.js';
import type { Environment } from './environment.js';

const app = await NestFactory.create<NestExpressApplication>(AppModule, { logger: ['error', 'fatal'] });
app.disable('x-powered-by');
app.disable('etag'); // nobody asks for a message again with If-None-Match
app.useGlobalPipes(new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }));
app.useGlobalFilters(new EnvelopeFilter());

const server = app.getHttpServer();
// Clients end idle connections, not the server: a request never meets a connection that is being closed.
server.keepAliveTimeout = 65_000;
for (const signal of ['SIGTERM', 'SIGINT']) {
  // Closing the server ends idle connections at once; those that answer right then must not idle afterwards.
  process.once(signal, () => (server.keepAliveTimeout = 1));
}
app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });

await app.listen(app.get<ConfigService<Environment, true>>(ConfigService).get('PORT'), '127.0.0.1');
console.log(`listening on ${await app.getUrl()}`);
