import { plainToInstance } from 'class-transformer';
import { IsIn, IsInt, IsNotEmpty, Matches, Max, Min, validateSync } from 'class-validator';

// The types stand there even where they could be inferred: the conversion from text reads them.
export class Environment {
  /** 0: any free one. */
  @IsInt()
  @Min(0)
  @Max(65_535)
  PORT: number = 0;

  @IsNotEmpty()
  DATABASE_URL!: string;

  @IsInt()
  @Min(1)
  POOL_SIZE: number = 20;

  @IsNotEmpty()
  JWT_SECRET!: string;

  @Matches(/^[^:]+:\d+$/)
  ABLY_ADDRESS!: string;

  @Matches(/^[^:]+:.+$/)
  ABLY_KEY!: string;

  /** Whether an answer waits until its message is published. */
  @IsIn(['background', 'await'])
  PUBLISH: 'background' | 'await' = 'background';
}

export function validateEnvironment(variables: Record<string, unknown>): Environment {
  const environment = plainToInstance(Environment, variables, { enableImplicitConversion: true });
  const errors = validateSync(environment);
  if (errors.length > 0) {
    throw new Error(errors.map(String).join('\n'));
  }
  return environment;
}
