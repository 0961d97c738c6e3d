import { IsIn, IsOptional, IsString, IsUUID, Length } from 'class-validator';

export class SendMessageDto {
  @IsUUID()
  sessionId!: string;

  @IsString()
  @Length(1, 4096)
  message!: string;

  @IsOptional()
  @IsIn(['text'])
  messageType?: 'text';

  @IsOptional()
  @IsString()
  @Length(1, 128)
  clientMessageId?: string;
}
