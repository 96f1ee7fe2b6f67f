-- Gambio GX 4: InnoDB, utf8mb3; column names and types as shipped, the parts that are read.

CREATE TABLE {customers} (
    customers_id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_status int(5) NOT NULL DEFAULT 1,
    customers_firstname varchar(64) NOT NULL DEFAULT '',
    customers_lastname varchar(64) NOT NULL DEFAULT '',
    customers_email_address varchar(96) NOT NULL DEFAULT '',
    customers_default_address_id int(11) NOT NULL DEFAULT 0,
    customers_telephone varchar(32) NOT NULL DEFAULT '',
    customers_password varchar(255) NOT NULL DEFAULT '',
    customers_newsletter char(1),
    account_type int(1) NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {customers_basket} (
    customers_basket_id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_id int(11) NOT NULL DEFAULT 0,
    products_id tinytext NOT NULL,
    customers_basket_quantity decimal(15,4) NOT NULL DEFAULT 0,
    final_price decimal(15,4) NOT NULL DEFAULT 0,
    customers_basket_date_added timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {customers_basket_attributes} (
    customers_basket_attributes_id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_id int(11) NOT NULL DEFAULT 0,
    products_id tinytext NOT NULL,
    products_options_id int(11) NOT NULL DEFAULT 0,
    products_options_value_id int(11) NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {address_book} (
    address_book_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_id int NOT NULL DEFAULT 0,
    entry_street_address varchar(64) NOT NULL DEFAULT '',
    entry_city varchar(64) NOT NULL DEFAULT '',
    entry_country_id int NOT NULL DEFAULT 0,
    entry_zone_id int NOT NULL DEFAULT 0,
    KEY customers_id (customers_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {countries} (
    countries_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    countries_name varchar(64) NOT NULL DEFAULT '',
    countries_iso_code_2 char(2) NOT NULL DEFAULT ''
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {zones} (
    zone_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    zone_country_id int NOT NULL DEFAULT 0,
    zone_code varchar(32) NOT NULL DEFAULT '',
    zone_name varchar(32) NOT NULL DEFAULT ''
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {newsletter_recipients} (
    mail_id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_email_address varchar(96) NOT NULL DEFAULT '',
    customers_id int(11) NOT NULL DEFAULT 0,
    mail_status int(1) NOT NULL DEFAULT 0,
    created_by_admin int NOT NULL DEFAULT 0,
    mail_key varchar(32) NOT NULL DEFAULT '',
    ip_address varchar(45),
    date_added datetime NOT NULL DEFAULT '1000-01-01 00:00:00'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {orders} (
    orders_id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_id int(11) NOT NULL DEFAULT 0,
    customers_status int(11),
    customers_name varchar(64) NOT NULL DEFAULT '',
    customers_telephone varchar(32) NOT NULL DEFAULT '',
    customers_email_address varchar(96) NOT NULL DEFAULT '',
    last_modified timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    date_purchased datetime,
    orders_status int(5) NOT NULL DEFAULT 0,
    currency char(3),
    currency_value decimal(13,8),
    account_type int(1) NOT NULL DEFAULT 0,
    language varchar(32) NOT NULL DEFAULT '',
    KEY customers_id (customers_id),
    KEY date_purchased (date_purchased)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {orders_total} (
    orders_total_id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    orders_id int NOT NULL,
    title varchar(255) NOT NULL DEFAULT '',
    text varchar(255) NOT NULL DEFAULT '',
    value decimal(15,4) NOT NULL,
    class varchar(32) NOT NULL,
    sort_order int NOT NULL DEFAULT 0,
    KEY orders_id (orders_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {orders_status} (
    orders_status_id int NOT NULL DEFAULT 0,
    language_id int NOT NULL DEFAULT 1,
    orders_status_name varchar(32) NOT NULL DEFAULT '',
    PRIMARY KEY (orders_status_id, language_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {orders_status_history} (
    orders_status_history_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    orders_id int NOT NULL DEFAULT 0,
    orders_status_id int NOT NULL DEFAULT 0,
    date_added datetime NOT NULL,
    comments text
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {products} (
    products_id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY,
    products_quantity decimal(15,4) NOT NULL DEFAULT 0,
    products_model varchar(64),
    products_image varchar(255),
    products_price decimal(15,4) NOT NULL DEFAULT 0,
    products_status tinyint(1) NOT NULL DEFAULT 0,
    products_tax_class_id int(11) NOT NULL DEFAULT 0,
    gm_price_status int unsigned NOT NULL DEFAULT 0,
    use_properties_combis_quantity tinyint(1) NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {products_description} (
    products_id int NOT NULL,
    language_id int NOT NULL DEFAULT 1,
    products_name varchar(255) NOT NULL DEFAULT '',
    products_description text,
    PRIMARY KEY (products_id, language_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {products_attributes} (
    products_attributes_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    products_id int NOT NULL DEFAULT 0,
    options_id int NOT NULL DEFAULT 0,
    options_values_id int NOT NULL DEFAULT 0,
    options_values_price decimal(15,4) NOT NULL DEFAULT 0,
    price_prefix char(1) NOT NULL DEFAULT '',
    attributes_stock decimal(15,4) NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {products_options_values} (
    products_options_values_id int NOT NULL DEFAULT 0,
    language_id int NOT NULL DEFAULT 1,
    products_options_values_name varchar(255) NOT NULL DEFAULT '',
    PRIMARY KEY (products_options_values_id, language_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {products_properties_combis} (
    products_properties_combis_id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    products_id int unsigned NOT NULL DEFAULT 0,
    combi_model varchar(64) NOT NULL DEFAULT '',
    combi_quantity decimal(15,4) NOT NULL DEFAULT 0,
    combi_price_type enum('calc','fix') NOT NULL,
    combi_price decimal(15,4) NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {products_properties_index} (
    products_id int NOT NULL DEFAULT 0,
    language_id int NOT NULL DEFAULT 0,
    properties_id int NOT NULL DEFAULT 0,
    products_properties_combis_id int NOT NULL DEFAULT 0,
    properties_values_id int NOT NULL DEFAULT 0,
    properties_name varchar(255),
    properties_sort_order int NOT NULL DEFAULT 0,
    values_name varchar(255),
    PRIMARY KEY (products_properties_combis_id, language_id, properties_values_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {specials} (
    specials_id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY,
    products_id int(11) NOT NULL DEFAULT 0,
    specials_quantity decimal(15,4) NOT NULL DEFAULT 0,
    specials_new_products_price decimal(15,4) NOT NULL DEFAULT 0,
    begins_date datetime,
    expires_date datetime,
    status int(1) NOT NULL DEFAULT 1,
    UNIQUE KEY products_id (products_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {languages} (
    languages_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name varchar(32) NOT NULL DEFAULT '',
    code char(2) NOT NULL DEFAULT '',
    directory varchar(32),
    sort_order int
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE {whos_online} (
    whos_online_id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id int(11),
    full_name varchar(64) NOT NULL DEFAULT '',
    session_id varchar(128) NOT NULL DEFAULT '',
    ip_address varchar(15) NOT NULL DEFAULT '',
    time_entry varchar(14) NOT NULL DEFAULT '',
    time_last_click varchar(14) NOT NULL DEFAULT '',
    last_page_url varchar(255) NOT NULL DEFAULT ''
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;
