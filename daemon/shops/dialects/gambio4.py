"""Gambio GX 3 and 4."""

from daemon.shops.dialects.dialect import Dialect

DIALECT = Dialect(
    name="gambio4",
    title="Gambio GX 4",
    baskets="utc",
    clock="server",
    options="combis",
    order_values="order",
    images="images/product_images/info_images/",
    product_page="product_info.php?products_id={id}",
    cart_page="shopping_cart.php",
    extra={
        "customers": ("customers_telephone", "customers_status", "account_type"),
        "newsletter_recipients": (
            "customers_email_address",
            "mail_status",
            "date_added",
            "ip_address",
            "created_by_admin",
        ),
        "orders": ("language",),
        "products": ("use_properties_combis_quantity",),
        "specials": ("begins_date",),
        "products_properties_combis": (
            "products_properties_combis_id",
            "products_id",
            "combi_model",
            "combi_quantity",
            "combi_price_type",
            "combi_price",
        ),
        "products_properties_index": (
            "products_properties_combis_id",
            "language_id",
            "values_name",
            "properties_sort_order",
        ),
    },
    parts={
        "guest": "c.account_type = 1",
        "shut": "c.customers_status = 0",  # administrators
        "group": "c.customers_status",
        "special_started": "(s.begins_date IS NULL OR s.begins_date <= :wall)",
        "language_key": "o.language",
        "signed_from": "r.ip_address",
        "confirmed": "NULL",
        "confirmed_from": "''",
        "by_admin": "r.created_by_admin",
        "combis_rule": "p.use_properties_combis_quantity",
    },
    recipients="signed",
    statuses={0: "pending", 99: "cancelled"},
    groups=True,
    guests=True,
)
