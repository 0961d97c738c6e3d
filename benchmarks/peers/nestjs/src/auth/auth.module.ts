import { Module } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { JwtModule, type JwtModuleOptions } from '@nestjs/jwt';

import type { Environment } from '../environment.js';

@Module({
  imports: [
    JwtModule.registerAsync({
      global: true,
      inject: [ConfigService],
      useFactory: (config: ConfigService<Environment, true>): JwtModuleOptions => ({
        secret: config.get('JWT_SECRET'),
        verifyOptions: { algorithms: ['HS256'], issuer: 'rdchat', audience: 'rdchat' },
      }),
    }),
  ],
})
export class AuthModule {}
