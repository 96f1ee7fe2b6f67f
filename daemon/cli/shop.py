"""`tillbell shop`: what a shop left behind that is no longer in shops.yaml."""

from __future__ import annotations

from cyclopts import App

from daemon.cli.desk import console, desk
from daemon.cli.exits import FINE
from daemon.errors import ConfigurationError
from daemon.flow import shops
from daemon.store.shops import every

app = App(name="shop", help="What a shop left behind that is no longer in shops.yaml.")


@app.command
async def close(name: str, /) -> int:
    """End all that is open in a shop that was taken out of shops.yaml and will not come back.

    Parameters
    ----------
    name
        Its name, as it stood in shops.yaml.
    """
    async with desk(acts=True) as at:
        [shop_id] = at.only(name).values()
        if next(row.left_at for row in await every(at.pool) if row.shop_id == shop_id) is None:
            hint = f"`tillbell pause --shop {name}` is the brake"
            raise ConfigurationError(f'the shop "{name}" is in shops.yaml: take it out first; hint: {hint}')
        ended = await shops.close(at.pool, shop_id, at.now)
    console().print(f"ended {ended} recover{'y' if ended == 1 else 'ies'} of shop {name}")
    return FINE
