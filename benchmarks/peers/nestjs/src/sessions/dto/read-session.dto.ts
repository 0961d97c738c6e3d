import { IsInt, IsOptional, Min } from 'class-validator';

export class ReadSessionDto {
  @IsOptional()
  @IsInt()
  @Min(0)
  upToSeq?: number;
}
