import { HttpException } from '@nestjs/common';

const ERRORS = {
  SESSION_NOT_FOUND: [404, 'Chat session not found'],
  NOT_PARTICIPANT: [403, 'You are not a participant in this chat session'],
  CHAT_NOT_ENABLED: [400, 'Chat is not enabled for this session yet'],
  SESSION_ENDED: [400, 'Chat session has ended'],
} as const;

export class ChatException extends HttpException {
  constructor(code: keyof typeof ERRORS) {
    const [status, message] = ERRORS[code];
    super({ code, message }, status);
  }
}
