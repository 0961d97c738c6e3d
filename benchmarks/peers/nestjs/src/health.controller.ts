import { Controller, Get } from '@nestjs/common';

import { RealtimeService } from './realtime/realtime.service.js';

@Controller('healthz')
export class HealthController {
  constructor(private readonly realtime: RealtimeService) {}

  @Get()
  check() {
    return { status: 'ok', publishing: this.realtime.pending, publishFailures: this.realtime.failures };
  }
}
