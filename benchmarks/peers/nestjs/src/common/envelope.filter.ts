import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Response } from 'express';

const CODES: Record<number, string> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  413: 'PAYLOAD_TOO_LARGE',
};

interface Failure {
  statusCode: number;
  code: string;
  message: string;
}

/** Answers every error in the one envelope of the API. */
@Catch()
export class EnvelopeFilter implements ExceptionFilter {
  private readonly logger = new Logger(EnvelopeFilter.name);

  catch(exception: unknown, host: ArgumentsHost): void {
    const { statusCode, code, message } = this.failure(exception);
    host
      .switchToHttp()
      .getResponse<Response>()
      .status(statusCode)
      .json({ success: false, message, statusCode, code });
  }

  private failure(exception: unknown): Failure {
    if (exception instanceof HttpException) {
      const statusCode = exception.getStatus();
      const body = exception.getResponse() as { code?: string; message?: string | string[] };
      if (Array.isArray(body.message)) {
        return { statusCode, code: 'VALIDATION_FAILED', message: body.message.join('; ') };
      }
      return { statusCode, code: body.code ?? codeOf(statusCode), message: exception.message };
    }
    if (isClientError(exception)) {
      return { statusCode: exception.statusCode, code: codeOf(exception.statusCode), message: exception.message };
    }
    this.logger.error(exception);
    return { statusCode: 500, code: 'INTERNAL', message: 'Something went wrong on our side' };
  }
}

function codeOf(statusCode: number): string {
  return CODES[statusCode] ?? (statusCode < 500 ? 'BAD_REQUEST' : 'INTERNAL');
}

/** What Express' own middleware throws, such as the body parser at a body that is too large. */
function isClientError(exception: unknown): exception is Error & { statusCode: number } {
  const statusCode = (exception as { statusCode?: unknown } | null)?.statusCode;
  return exception instanceof Error && typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
}
