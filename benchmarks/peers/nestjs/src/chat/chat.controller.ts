import { Body, Controller, HttpStatus, Post, Res, UseGuards } from '@nestjs/common';
import type { Response } from 'express';

import { AuthGuard } from '../auth/auth.guard.js';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { ChatService } from './chat.service.js';
import { SendMessageDto } from './dto/send-message.dto.js';

@Controller('api/v1/chat')
@UseGuards(AuthGuard)
export class ChatController {
  constructor(private readonly chat: ChatService) {}

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
}
