/** A page as Vite gives it. */
declare module '*.md?raw' {
  const text: string;
  export default text;
}
