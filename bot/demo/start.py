"""``huiyin demo``: seeds the sample shop once, then serves it like any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.app import Installation, Ready, now_utc
from bot.demo.player import PlayedClock, Player, Sale
from bot.demo.sample import SHOP_NAME, story
from bot.secret_files import keep_secret
from bot.settings import Settings, load_settings
from console.passwords import Passwords, new_password
from desk.ports import SentimentScorer, UnitOfWork
from desk.values import Buyer, Order, OrderStatus, Role, StaffMember
from storage.locks import SingleServeLock

LOGIN = "demo"
_PASSWORD_FILE = "DEMO_PASSWORD"  # noqa: S105 - the name of the file, not what it holds.
_MARK = "seeded"
_STORY = "1"
"""Raise it when the sample changes so much that older data should be replaced."""
_DATA = ("huiyin.db", "huiyin.db-wal", "huiyin.db-shm", "huiyin.db-journal", _MARK)

_GUEST_LINES = (("CUP-500", "保温杯 500ml", 6900, 1), ("NUTS-07", "坚果礼盒", 8800, 1))
_GUEST_FRESH_FOR = timedelta(days=7)
_MOST_GUESTS = 10_000


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a newcomer is told at every start."""

    order_link: str
    password: str


def demo_settings(settings: Settings) -> Settings:
    """The settings of the demo: a folder and a database of its own, surveys within seconds.

    Where it listens and how it logs is as in ``settings``; channels, secrets and the rest are not taken
    over, so that nothing of a real shop gets into the sample and nothing of the sample gets out.
    """
    address = settings.listen
    host = f"[{address.host}]" if ":" in address.host else address.host
    return load_settings(
        {
            "HUIYIN_VAR_DIR": str(settings.var_dir / "demo"),
            "HUIYIN_LISTEN": f"{host}:{address.port}",
            "HUIYIN_PUBLIC_URL": settings.public_url,
            "HUIYIN_ALLOW_HTTP": "1" if settings.allow_http else "0",
            "HUIYIN_TIMEZONE": settings.timezone.key,
            "HUIYIN_LOG_LEVEL": settings.log_level.value,
            "HUIYIN_LOG_FORMAT": settings.log_format.value,
            "HUIYIN_SHOP_NAME": SHOP_NAME,
            "HUIYIN_SURVEY_DELAY": "2s",
            "HUIYIN_QUIET_HOURS": "off",
        }
    )


async def serve_demo(settings: Settings, *, fresh: bool, tell: Callable[[str], None]) -> None:
    """Seeds if need be and serves until told to stop.

    Raises:
        AlreadyServingError: A demo runs already.
    """
    start_over = fresh or not is_seeded(settings)
    if start_over:
        remove_data(settings)
        tell("正在准备示例店铺，大约十秒…… Preparing the sample shop, about ten seconds …")
        await seed(settings)
    # The model of the real installation beside it: it holds nothing of a shop.
    async with Installation(settings, models_in=settings.var_dir.parent) as installation:
        welcome = await prepare_welcome(installation)

        def ready(found: Ready) -> None:
            for line in banner(found.url, welcome):
                tell(line)

        await installation.serve(ready)


def is_seeded(settings: Settings) -> bool:
    """Whether the sample is there whole; one that was interrupted on the way does not count."""
    try:
        return (settings.var_dir / _MARK).read_text("ascii").strip() == _STORY
    except OSError:
        return False


def remove_data(settings: Settings) -> None:
    """Deletes the demo's database, and nothing else in its folder.

    Raises:
        AlreadyServingError: A demo runs; its data are not pulled away under it.
    """
    with SingleServeLock(settings.lock_dir):
        # The mark goes first: whatever happens now, what is left is not taken for a whole sample.
        for name in reversed(_DATA):
            (settings.var_dir / name).unlink(missing_ok=True)


async def seed(settings: Settings, scorer: SentimentScorer | None = None) -> None:
    """Plays two weeks of the sample shop into an empty database.

    Args:
        scorer: Another than SnowNLP, for tests.
    """
    now = now_utc()
    clock = PlayedClock(now - timedelta(days=15))
    # The past had ordinary surveys; only the newcomer's comes within seconds.
    played = settings.model_copy(update={"survey_delay": timedelta(days=1)})
    async with Installation(played, scorer=scorer, clock=clock) as installation:
        await installation.seed_faq()
        unusable = await Passwords().hash(new_password())
        agent = await installation.staff_desk.add_staff("xiaolin", "小林", Role.AGENT, unusable, None)
        player = Player(installation, clock)
        for step in story(now, settings.timezone, agent):
            await player.go_to(step.at)
            await step.act(player)
        await player.go_to(now)
    (settings.var_dir / _MARK).write_text(f"{_STORY}\n", "ascii")


async def prepare_welcome(installation: Installation) -> Welcome:
    """An account that works and an order that nobody has opened yet; both survive restarts."""
    password = keep_secret(installation.settings.var_dir, _PASSWORD_FILE, new_password, str, [])
    await _ensure_account(installation, password)
    number = await installation.database.write(lambda unit: _guest_order(installation, unit))
    token = await installation.service_desk.order_links(number)
    return Welcome(f"{installation.settings.public_url}/chat#order={token}", password)


async def _ensure_account(installation: Installation, password: str) -> None:
    passwords = Passwords()
    found = await installation.database.read(lambda unit: unit.staff.find_by_login(LOGIN))
    if found is None:
        password_hash = await passwords.hash(password)
        await installation.staff_desk.add_staff(LOGIN, "演示管理员", Role.ADMIN, password_hash, None)
        return
    member, password_hash = found
    if member.disabled or not await passwords.matches(password_hash, password):
        await _repair(installation, member, await passwords.hash(password))


async def _repair(installation: Installation, member: StaffMember, password_hash: str) -> None:
    await installation.staff_desk.change_staff(
        member.id, None, disabled=False, role=Role.ADMIN, password_hash=password_hash
    )


def _guest_order(installation: Installation, unit: UnitOfWork) -> str:
    """The number of a delivered order that waits for the newcomer; a new one once it was opened."""
    now = installation.clock()
    for count in range(1, _MOST_GUESTS):
        sale = Sale(f"DEMO{count:04}", Buyer(f"demo-guest-{count}", "示例顾客"), _GUEST_LINES)
        order = unit.orders.lock(sale.number)
        if order is None:
            event = sale.event(OrderStatus.DELIVERED, now - timedelta(minutes=1))
            installation.service_desk.apply_order_event(unit, event)
            return sale.number
        if _waits(unit, order) and order.delivered_at and now - order.delivered_at < _GUEST_FRESH_FOR:
            return sale.number
    raise LookupError("no number is left for a sample order")


def _waits(unit: UnitOfWork, order: Order) -> bool:
    return not unit.identities.find_bound_to_order(order.id)


def banner(url: str, welcome: Welcome) -> list[str]:
    """Three steps from nothing to an answer, a survey and a case."""
    return [
        "",
        f"  {SHOP_NAME} 已启动，数据都是假的。 The sample shop is running; its data are made up.",
        "",
        "  1. 扮演顾客：打开聊天页，问一句「什么时候发货」，马上有回答。",
        "     Be a customer: open the chat and ask 什么时候发货 (when do you ship); the answer comes at once.",
        f"       {url}/chat",
        "  2. 再打开订单链接：几秒内收到回访。回复 2（不满意），再说说哪里不好。",
        "     Open this order link: a survey arrives within seconds. Answer 2 (not happy) and say why.",
        f"       {welcome.order_link}",
        "  3. 扮演客服：打开控制台，登录，接下刚才的工单并回复；聊天页马上能看到。",
        "     Be staff: open the console, sign in, take that case and reply; the chat shows it at once.",
        f"       {url}/console",
        f"       账号 login {LOGIN}    密码 password {welcome.password}",
        "",
        "  按 Ctrl-C 停止；huiyin demo --fresh 从头再来。",
        "  Press Ctrl-C to stop; huiyin demo --fresh starts over.",
        "",
    ]
