import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';

/** Who calls, as the claims of their token say. */
export interface Caller {
  sub: string;
  role: string;
  fullName: string;
}

export interface AuthenticatedRequest extends Request {
  user: Caller;
}

export const CurrentCaller = createParamDecorator(
  (_data: unknown, context: ExecutionContext): Caller =>
    context.switchToHttp().getRequest<AuthenticatedRequest>().user,
);
