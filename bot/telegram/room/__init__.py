"""客服群: a Telegram group in which staff see cases and talk to customers, as an equal of the console."""
