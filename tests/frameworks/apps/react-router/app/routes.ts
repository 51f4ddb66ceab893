import { index, route, type RouteConfig } from "@react-router/dev/routes";

export default [
  index("routes/home.tsx"),
  route("about", "routes/about.tsx"),
  route("go", "routes/go.tsx"),
  route("api/entries", "routes/entries.ts"),
] satisfies RouteConfig;
