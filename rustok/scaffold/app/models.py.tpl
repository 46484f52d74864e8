"""Rows of ${name}. What belongs to a tenant subclasses TenantModel."""
