export default function About() {
  return <h1 id="about-page">About</h1>;
}
