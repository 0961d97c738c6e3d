import { Body, Controller, Get, Param, ParseUUIDPipe, Put, Query, UseGuards } from '@nestjs/common';

import { AuthGuard } from '../auth/auth.guard.js';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ReadSessionDto } from './dto/read-session.dto.js';
import { SessionsQueryDto } from './dto/sessions-query.dto.js';
import { SessionsService } from './sessions.service.js';

@Controller('api/v1/chat/sessions')
@UseGuards(AuthGuard)
export class SessionsController {
  constructor(private readonly sessions: SessionsService) {}

  @Get()
  async list(@CurrentCaller() caller: Caller, @Query() query: SessionsQueryDto) {
    const data = await this.sessions.list(caller, query);
    return { success: true, message: 'Chat sessions retrieved successfully', data };
  }

  @Put(':id/read')
  async read(
    @CurrentCaller() caller: Caller,
    @Param('id', ParseUUIDPipe) id: string,
    @Body() dto: ReadSessionDto,
  ) {
    const data = await this.sessions.read(caller, id, dto);
    return { success: true, message: 'Messages marked as read', data };
  }
}
