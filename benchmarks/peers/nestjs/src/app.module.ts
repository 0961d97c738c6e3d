import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';

import { AuthModule } from './auth/auth.module.js';
import { ChatModule } from './chat/chat.module.js';
import { DatabaseModule } from './database/database.module.js';
import { validateEnvironment } from './environment.js';
import { HealthController } from './health.controller.js';
import { RealtimeModule } from './realtime/realtime.module.js';
import { SessionsModule } from './sessions/sessions.module.js';
import { SlotsModule } from './slots/slots.module.js';

@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true, cache: true, ignoreEnvFile: true, validate: validateEnvironment }),
    AuthModule,
    DatabaseModule,
    RealtimeModule,
    ChatModule,
    SessionsModule,
    SlotsModule,
  ],
  controllers: [HealthController],
})
export class AppModule {}
