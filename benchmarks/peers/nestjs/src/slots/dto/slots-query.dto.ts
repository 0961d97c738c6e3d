import { Type } from 'class-transformer';
import { IsIn, IsInt, IsISO8601, IsTimeZone, Max, Min } from 'class-validator';

export class SlotsQueryDto {
  @IsISO8601({ strict: true })
  from!: string;

  @IsISO8601({ strict: true })
  to!: string;

  @Type(() => Number)
  @IsInt()
  @Min(10)
  @Max(240)
  duration: number = 60;

  @Type(() => Number)
  @IsIn([15, 20, 30, 60])
  step: number = 30;

  @IsTimeZone()
  timezone: string = 'Asia/Jakarta';
}
