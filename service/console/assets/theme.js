// Sets the theme before anything is drawn: this browser's choice, or the system's.
const CHOSEN = "understudy-theme";

function chosenTheme() {
  try {
    return localStorage.getItem(CHOSEN);
  } catch {
    return null; // storage is switched off
  }
}

function showTheme() {
  const chosen = chosenTheme();
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}

function isDark() {
  const chosen = chosenTheme();
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

showTheme();
addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme");
  const showButton = () => {
    button.textContent = isDark() ? "☀" : "☾";
    button.title = isDark() ? "Light" : "Dark";
  };
  button.addEventListener("click", () => {
    try {
      localStorage.setItem(CHOSEN, isDark() ? "light" : "dark");
    } catch {
      document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    }
    showTheme();
    showButton();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showButton);
  showButton();
});
