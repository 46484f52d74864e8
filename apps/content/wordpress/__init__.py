"""Sites that come as WordPress eXtended RSS (WXR): reading the file, what its objects become, and writing them.

Format: the export of WordPress itself, `wp-admin/includes/export.php`; versions 1.0, 1.1 and 1.2 differ in namespace
and in how much they name.
"""
