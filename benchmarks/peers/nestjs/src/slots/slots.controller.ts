import { Controller, Get, Query, UseGuards } from '@nestjs/common';

import { AuthGuard } from '../auth/auth.guard.js';
import { SlotsQueryDto } from './dto/slots-query.dto.js';
import { SlotsService } from './slots.service.js';

@Controller('api/v1/slots')
@UseGuards(AuthGuard)
export class SlotsController {
  constructor(private readonly slots: SlotsService) {}

  @Get()
  async list(@Query() query: SlotsQueryDto) {
    return { success: true, message: 'Slots retrieved successfully', data: await this.slots.list(query) };
  }
}
