// Says when a photo was sent by the reader's own clock. Without this script it is said by that of the site.
const clock = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" });
document.querySelectorAll("time[datetime]").forEach((time) => {
  time.textContent = clock.format(new Date(time.dateTime));
});
