"""Events written as Event Viewer saves them, from the texts that Windows shows (`ja.txt`, `en.txt`)."""
