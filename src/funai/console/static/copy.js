// <copy-button>: copies the text of the <pre> beside it. Hidden where there is no clipboard (plain HTTP, no JavaScript).
class CopyButton extends HTMLElement {
  connectedCallback() {
    if (!navigator.clipboard) return;
    this.hidden = false;
    const button = this.querySelector('button');
    const label = button.textContent;
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(this.parentElement.querySelector('pre').textContent);
      button.textContent = this.dataset.copied;
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  }
}

customElements.define('copy-button', CopyButton);
