"""CRE Loaded 6 and Loaded Commerce 6."""

from daemon.shops.dialects.dialect import Dialect

DIALECT = Dialect(
    name="creloaded6",
    title="CRE Loaded 6",
    baskets="day",
    clock="php",
    options="braces",
    order_values="base",
    images="images/",
    product_page="product_info.php?products_id={id}",
    cart_page="shopping_cart.php",
    extra={
        "customers": ("purchased_without_account",),
        "customers_basket_attributes": ("products_options_value_text",),
        "address_book": ("entry_telephone",),
    },
    parts={
        "phone": "a.entry_telephone",
        "guest": "c.purchased_without_account",
        "option_text": "b.products_options_value_text",
    },
    statuses={88888: "failed", 99999: "pending"},
    guests=True,
    phone_in="address_book.entry_telephone",
)
