// Ponder does not start without a door; nobody knocks here.

import { Hono } from "hono";

export default new Hono();
