import { Body, Controller, Get, Post, Redirect, Res } from '@nestjs/common';
import type { Response } from 'express';

type Entry = { text: string };

@Controller()
export class EntriesController {
  private readonly entries: Entry[] = [{ text: 'first' }];

  @Get('api/entries')
  list(@Res({ passthrough: true }) response: Response) {
    response.cookie('sid', 'abc', { httpOnly: true });
    return this.entries;
  }

  @Post('api/entries')
  add(@Body() body: Entry) {
    this.entries.push({ text: body.text });
    return body;
  }

  @Post('sign')
  @Redirect('/about.html', 303)
  sign() {}

  @Get('go')
  @Redirect('/about.html')
  go() {}
}
