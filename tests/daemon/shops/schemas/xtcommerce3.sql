-- xt:Commerce 3: MyISAM, latin1; column names and types as shipped, the parts that are read.

CREATE TABLE {customers} (
    customers_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_status int(5) DEFAULT 1 NOT NULL,
    customers_firstname varchar(32) NOT NULL,
    customers_lastname varchar(32) NOT NULL,
    customers_email_address varchar(96) NOT NULL,
    customers_default_address_id int NOT NULL,
    customers_telephone varchar(32) NOT NULL,
    customers_password varchar(40) NOT NULL,
    customers_newsletter char(1),
    account_type int(1) NOT NULL DEFAULT 0
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {customers_basket} (
    customers_basket_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_id int NOT NULL,
    products_id tinytext NOT NULL,
    customers_basket_quantity int(2) NOT NULL,
    final_price decimal(15,4) NOT NULL,
    customers_basket_date_added char(8)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {customers_basket_attributes} (
    customers_basket_attributes_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_id int NOT NULL,
    products_id tinytext NOT NULL,
    products_options_id int NOT NULL,
    products_options_value_id int NOT NULL,
    products_options_value_text text
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {address_book} (
    address_book_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_id int NOT NULL DEFAULT 0,
    entry_street_address varchar(64) NOT NULL DEFAULT '',
    entry_city varchar(64) NOT NULL DEFAULT '',
    entry_country_id int NOT NULL DEFAULT 0,
    entry_zone_id int NOT NULL DEFAULT 0,
    KEY customers_id (customers_id)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {countries} (
    countries_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    countries_name varchar(64) NOT NULL DEFAULT '',
    countries_iso_code_2 char(2) NOT NULL DEFAULT ''
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {zones} (
    zone_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    zone_country_id int NOT NULL DEFAULT 0,
    zone_code varchar(32) NOT NULL DEFAULT '',
    zone_name varchar(32) NOT NULL DEFAULT ''
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {newsletter_recipients} (
    mail_id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_email_address varchar(96) NOT NULL DEFAULT '',
    customers_id int(11) NOT NULL DEFAULT 0,
    mail_status int(1) NOT NULL DEFAULT 0,
    mail_key varchar(32) NOT NULL DEFAULT '',
    date_added datetime NOT NULL DEFAULT '0000-00-00 00:00:00'
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {orders} (
    orders_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customers_id int NOT NULL,
    customers_status int(11),
    customers_name varchar(64) NOT NULL,
    customers_telephone varchar(32) NOT NULL,
    customers_email_address varchar(96) NOT NULL,
    cc_number varchar(64),
    last_modified datetime,
    date_purchased datetime,
    orders_status int(5) NOT NULL,
    currency char(3),
    currency_value decimal(14,6),
    account_type int(1) DEFAULT 0 NOT NULL,
    language varchar(32) NOT NULL
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {orders_total} (
    orders_total_id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    orders_id int NOT NULL,
    title varchar(255) NOT NULL DEFAULT '',
    text varchar(255) NOT NULL DEFAULT '',
    value decimal(15,4) NOT NULL,
    class varchar(32) NOT NULL,
    sort_order int NOT NULL DEFAULT 0,
    KEY orders_id (orders_id)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {orders_status} (
    orders_status_id int NOT NULL DEFAULT 0,
    language_id int NOT NULL DEFAULT 1,
    orders_status_name varchar(32) NOT NULL DEFAULT '',
    PRIMARY KEY (orders_status_id, language_id)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {orders_status_history} (
    orders_status_history_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    orders_id int NOT NULL DEFAULT 0,
    orders_status_id int NOT NULL DEFAULT 0,
    date_added datetime NOT NULL,
    comments text
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {products} (
    products_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    products_quantity int(4) NOT NULL,
    products_model varchar(64),
    products_image varchar(64),
    products_price decimal(15,4) NOT NULL,
    products_status tinyint(1) NOT NULL,
    products_tax_class_id int NOT NULL,
    products_fsk18 int(1) NOT NULL DEFAULT 0
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {products_description} (
    products_id int NOT NULL,
    language_id int NOT NULL DEFAULT 1,
    products_name varchar(64) NOT NULL DEFAULT '',
    products_description text,
    PRIMARY KEY (products_id, language_id)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {products_attributes} (
    products_attributes_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    products_id int NOT NULL DEFAULT 0,
    options_id int NOT NULL DEFAULT 0,
    options_values_id int NOT NULL DEFAULT 0,
    options_values_price decimal(15,4) NOT NULL DEFAULT 0,
    price_prefix char(1) NOT NULL DEFAULT '',
    attributes_stock int(4)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {products_options_values} (
    products_options_values_id int NOT NULL DEFAULT 0,
    language_id int NOT NULL DEFAULT 1,
    products_options_values_name varchar(64) NOT NULL DEFAULT '',
    PRIMARY KEY (products_options_values_id, language_id)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {specials} (
    specials_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    products_id int NOT NULL,
    specials_quantity int(4) NOT NULL,
    specials_new_products_price decimal(15,4) NOT NULL,
    expires_date datetime,
    status int(1) NOT NULL DEFAULT 1
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {languages} (
    languages_id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name varchar(32) NOT NULL DEFAULT '',
    code char(2) NOT NULL DEFAULT '',
    directory varchar(32),
    sort_order int
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

CREATE TABLE {whos_online} (
    customer_id int,
    full_name varchar(64) NOT NULL,
    session_id varchar(128) NOT NULL,
    ip_address varchar(15) NOT NULL,
    time_entry varchar(14) NOT NULL,
    time_last_click varchar(14) NOT NULL,
    last_page_url varchar(255) NOT NULL
) ENGINE=MyISAM DEFAULT CHARSET=latin1;
