import { Body, Controller, Get, HttpStatus, Post, Query, Res, UseGuards } from '@nestjs/common';
import type { Response } from 'express';

import { AuthGuard } from '../auth/auth.guard.js';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ChatService } from './chat.service.js';
import { HistoryQueryDto } from './dto/history-query.dto.js';
import { SendMessageDto } from './dto/send-message.dto.js';
import { HistoryService } from './history.service.js';

@Controller('api/v1/chat')
@UseGuards(AuthGuard)
export class ChatController {
  constructor(
    private readonly chat: ChatService,
    private readonly history: HistoryService,
  ) {}

  @Post('messages')
  async send(
    @CurrentCaller() caller: Caller,
    @Body() dto: SendMessageDto,
    @Res({ passthrough: true }) response: Response,
  ) {
    const { message, repeated } = await this.chat.send(caller, dto);
    if (repeated) {
      response.status(HttpStatus.OK);
    }
    return { success: true, message: 'Message sent successfully', data: message };
  }

  @Get('history')
  async read(@CurrentCaller() caller: Caller, @Query() query: HistoryQueryDto) {
    const data = await this.history.page(caller, query);
    return { success: true, message: 'Chat history retrieved successfully', data };
  }

  @Get('unread')
  async unread(@CurrentCaller() caller: Caller) {
    const data = await this.history.unread(caller);
    return { success: true, message: 'Unread messages counted successfully', data };
  }
}
