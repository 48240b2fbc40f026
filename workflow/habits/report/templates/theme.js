// Before the first paint, so that a chosen theme does not flash.
(function () {
  try {
    const theme = localStorage.getItem("habits-theme");
    if (theme) document.documentElement.dataset.theme = theme;
  } catch (error) { /* storage can be closed to pages opened from disk */ }
})();
